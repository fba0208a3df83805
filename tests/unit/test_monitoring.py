"""The dashboard and the alert rules name metrics that exist, with labels that they have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from master.api.numbers.counted import Counted
from master.api.numbers.disk import Disk
from master.api.numbers.now import FleetNow, HostGpus, Lane, Spent
from master.api.numbers.shown import render_numbers
from tasks.protocol import ModelServerStats
from tests.support import ROOT

MONITORING = ROOT / "docker/monitoring"
NOW = FleetNow(
    steps={"ready": 1}, runs={}, lanes={"cpu": Lane()}, workers={}, paused=False, approvals_waiting=1,
    oldest_approval_s=2, gpus={"h": HostGpus(memory_mib=1, used_mib=1, use=0.5)},
    spent=(Spent(category="hosting", currency="EUR", held_minor=1, spent_minor=2),),
    model_servers={"one": ModelServerStats()},
)  # fmt: skip


def exposed() -> dict[str, set[str]]:
    """Name of each series -> its labels."""
    counted = Counted()
    counted.steps["fleet.noop"] = 1
    text = render_numbers(NOW, counted, Disk(size_bytes=1, written_bytes=1), {}, "b" * 12).decode()
    return {
        sample.name: set(sample.labels)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def expressions() -> Iterator[str]:
    dashboard = json.loads((MONITORING / "grafana.json").read_text("utf-8"))
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            # What a legend shows must be a label, too.
            yield target["expr"] + "".join(
                f" by ({label})" for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])
            )
    for group in yaml.safe_load((MONITORING / "alerts.yml").read_text("utf-8"))["groups"]:
        for rule in group["rules"]:
            labels = re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])
            yield rule["expr"] + "".join(f" by ({label})" for label in labels)


@pytest.mark.parametrize("expression", list(expressions()))
def test_dashboard_and_alerts_name_metrics_and_labels_that_exist(expression: str) -> None:
    known = exposed()
    names = re.findall(r"\bd8_\w+", expression)
    assert names or expression == 'up{job="d8"} == 0'
    labels: set[str] = set().union(*(known.get(name, set()) for name in names))
    for name in names:
        assert name in known
    for label in re.findall(r"by \((\w+)\)|(\w+)(?:=~|!~|=)\"", expression):
        assert "".join(label) in labels | {"job"}


def test_every_alert_says_what_to_do() -> None:
    for group in yaml.safe_load((MONITORING / "alerts.yml").read_text("utf-8"))["groups"]:
        for rule in group["rules"]:
            assert rule["annotations"]["remedy"], rule["alert"]
            assert rule["labels"]["severity"] in ("info", "warning", "critical")


def test_every_metric_has_its_line_in_the_documentation() -> None:
    documented = set(re.findall(r"`(d8_\w+)`", (ROOT / "docs/monitoring.md").read_text("utf-8")))
    families = {re.sub(r"_(total|sum|count)$", "", name) for name in exposed()}
    assert {re.sub(r"_total$", "", name) for name in documented} >= families


def test_every_metric_says_what_it_is() -> None:
    text = render_numbers(NOW, Counted(), Disk(size_bytes=1, written_bytes=1), {}, "b" * 12).decode()
    families = list(text_string_to_metric_families(text))
    assert len(families) == len({family.name for family in families})
    for family in families:
        assert family.documentation.endswith("."), family.name
