"""What Prometheus reads of the model servers."""

from __future__ import annotations

import re

from prometheus_client.parser import text_string_to_metric_families

from tasks.metrics import render_model_metrics
from tasks.protocol import ModelServerStats

BUSY = ModelServerStats(
    models=("embedded:smollm2", 'quo"te\\slash'),
    waiting=7,
    rows=12,
    max_rows=32,
    occupancy=5.5,
    prefix_hit_rate=0.75,
    latency_p95_s=1.25,
    memory_mib=2.0,
    done=100,
    failed=3,
    kept=40,
    prompt_tokens=5000,
)


def samples(text: str) -> dict[tuple[str, str, str], float]:
    """(name, worker, the other label's value) -> value."""
    return {
        (
            sample.name,
            sample.labels["worker"],
            sample.labels.get("model", sample.labels.get("outcome", "")),
        ): (sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_worker_has_its_numbers_in_base_units() -> None:
    found = samples(render_model_metrics({"garage": BUSY, "attic": ModelServerStats()}).decode())
    for name, value in (
        ("waiting_items", 7), ("rows", 12), ("max_rows", 32), ("occupancy_rows", 5.5), ("prefix_hit_ratio", 0.75),
        ("latency_p95_seconds", 1.25), ("memory_bytes", 2 * 2**20), ("kept_answers_total", 40),
        ("prompt_tokens_total", 5000), ("server_up", 1),
    ):  # fmt: skip
        assert found[f"d8_model_{name}", "garage", ""] == value, name
    assert found["d8_model_rows", "attic", ""] == 0
    assert found["d8_model_items_total", "garage", "done"] == 100
    assert found["d8_model_items_total", "garage", "failed"] == 3
    assert found["d8_model_loaded", "garage", "embedded:smollm2"] == 1
    assert found["d8_model_loaded", "garage", 'quo"te\\slash'] == 1


def test_worker_without_a_model_server_is_down_and_has_no_old_numbers() -> None:
    found = samples(render_model_metrics({"garage": None}).decode())
    assert found == {("d8_model_server_up", "garage", ""): 0}


def test_every_metric_says_what_it_is() -> None:
    families = list(text_string_to_metric_families(render_model_metrics({"garage": BUSY}).decode()))
    assert len(families) == len({family.name for family in families}) == 17
    for family in families:
        assert re.fullmatch(r"d8_model_[a-z0-9_]+", family.name)
        assert family.documentation.endswith("."), family.name
        assert family.type in ("gauge", "counter"), family.name


def test_no_workers_are_no_samples() -> None:
    assert samples(render_model_metrics({}).decode()) == {}
