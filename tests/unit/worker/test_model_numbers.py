"""What a worker tells of its model server: in heartbeats, at its own door, and in a step's record."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tasks.build import Build
from tasks.metrics import render_model_metrics
from tasks.protocol import Hardware, Heartbeat, ModelServerStats, Welcome
from worker.agent import http
from worker.agent.agent import Agent, Circumstances
from worker.agent.models import read_model_server, to_message
from worker.models.protocol import Usage
from worker.models.wire import PROTOCOL, Health, Stats
from worker.runner import Identity, _usage

STATS = Stats(
    done=9, kept=2, queue_depth=3, prompt_tokens=70, generated_tokens=30, computed_tokens=60, padding_tokens=20,
    decode_steps=4, decode_rows=10, rows=2, max_rows=32, prefix_hits=3, prefix_misses=1, latency_p95_s=0.5,
    gpu_memory_mib=900.0, models=("embedded:smollm2",),
)  # fmt: skip
HARDWARE = Hardware(machine="x86_64", cpus=2, memory_mib=4096, disk_free_mib=4096)
NOWHERE = Path("/nowhere/models.sock")


def answering(stats: Stats) -> Callable[[Path], Health]:
    return lambda _: Health(protocol=PROTOCOL, pid=1, stats=stats)


def test_counters_become_what_the_master_is_told() -> None:
    told = to_message(STATS)
    assert (told.waiting, told.rows, told.max_rows, told.occupancy) == (3, 2, 32, 2.5)
    assert (told.prefix_hit_rate, told.padding_share) == (0.75, 0.25)
    assert (told.done, told.kept, told.prompt_tokens, told.generated_tokens) == (9, 2, 70, 30)
    assert (told.latency_p95_s, told.gpu_memory_mib, told.models) == (0.5, 900.0, ("embedded:smollm2",))


def test_more_models_and_longer_names_than_a_message_holds_are_cut() -> None:
    told = to_message(Stats(models=tuple(f"/{number}/" + "x" * 400 for number in range(100))))
    assert len(told.models) == 64
    assert {len(reference) for reference in told.models} == {300}


def test_server_that_is_away_or_says_nonsense_is_no_reason_to_miss_a_heartbeat() -> None:
    def fails(_: Path) -> Health:
        raise RuntimeError("whatever")

    assert read_model_server(NOWHERE) is None
    assert read_model_server(NOWHERE, lambda _: None) is None
    assert read_model_server(NOWHERE, fails) is None
    assert read_model_server(NOWHERE, answering(Stats(queue_depth=-1))) is None
    assert read_model_server(NOWHERE, answering(STATS)) == to_message(STATS)


class Master:
    """Takes what an agent says."""

    def __init__(self) -> None:
        self.heard: list[Heartbeat] = []

    def join(self, _: object) -> Welcome:
        return Welcome(state="active", fleet_build="b", heartbeat_s=30)

    def heartbeat(self, heartbeat: Heartbeat) -> Welcome:
        self.heard.append(heartbeat)
        return self.join(heartbeat)


def test_heartbeat_carries_the_numbers_and_an_old_master_ignores_them() -> None:
    master, stats = Master(), to_message(STATS)
    agent = Agent(
        Identity(name="garage", session="s" * 8, build="b"),
        Build(id="b", commit="", dirty=False),
        Circumstances(lanes=("cpu",), slots=1, host="h"),
        cast(Any, master),
        cast(Any, SimpleNamespace(deliver=lambda _: None)),
        lambda: HARDWARE,
        cast(Any, SimpleNamespace(error="", note="")),
        lambda _: None,
        lambda: stats,
        lambda: "",
    )
    agent._one_round()
    agent._one_round()
    (heartbeat,) = master.heard
    assert heartbeat.models == stats
    told = heartbeat.model_dump(mode="json")
    assert Heartbeat.model_validate({**told, "models": {**told["models"], "of_later": 1}}) == heartbeat
    del told["models"]
    assert Heartbeat.model_validate(told).models is None, "a worker of an older build tells none"


@pytest.mark.parametrize("stats", [to_message(STATS), None])
def test_workers_door_tells_prometheus(stats: ModelServerStats | None) -> None:
    server = http.serve(
        "127.0.0.1",
        0,
        health=lambda: {"healthy": True},
        version=dict,
        metrics=lambda: render_model_metrics({"garage": stats}),
    )
    assert server is not None
    url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        with urllib.request.urlopen(f"{url}/metrics") as answer:
            assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
            families = list(text_string_to_metric_families(answer.read().decode()))
        up = next(family for family in families if family.name == "d8_model_server_up")
        assert up.samples[0].value == (stats is not None)
        with urllib.request.urlopen(f"{url}/api/health") as answer:
            assert answer.read() == b'{"healthy": true}'
        with pytest.raises(urllib.error.HTTPError, match="404") as refused:
            urllib.request.urlopen(f"{url}/else")
        refused.value.close()
    finally:
        server.shutdown()
        server.server_close()


def usage_of(usage: Usage, *models: dict[str, str]) -> dict[str, Any]:
    attempt = SimpleNamespace(models=SimpleNamespace(usage=usage, describe_used=lambda: list(models)))
    return _usage(cast(Any, attempt))


def test_step_that_asked_no_model_records_no_usage() -> None:
    assert usage_of(Usage()) == {}


def test_step_that_was_answered_by_kept_answers_records_them_and_the_model() -> None:
    model = {"model": "fake:", "sha256": "0" * 64, "dtype": "none", "device": "none"}
    recorded = usage_of(Usage(prompt_tokens=10, kept=4), model)
    assert (recorded["kept"], recorded["seconds"], recorded["models"]) == (4, 0.0, [model])
    assert recorded["cost_micros"] == 0
