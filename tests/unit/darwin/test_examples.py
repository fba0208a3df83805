"""The data sets that we hand out are ones that we accept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from shutil import copy

import pytest

from master.darwin.columns import Reading
from master.darwin.dataset import parse
from master.darwin.metric_source import check_metric_source
from master.darwin.split import divide

EXAMPLES = Path(__file__).parents[3] / "examples"


def test_the_messages_are_a_data_set_to_classify() -> None:
    table = parse((EXAMPLES / "messages.jsonl").read_bytes(), "messages.jsonl")

    assert (len(table.rows), len(table.labels), table.repeated) == (182, 7, 0)


def test_the_orders_are_a_data_set_to_extract_and_can_be_made_again(tmp_path: Path) -> None:
    data = (EXAMPLES / "orders.jsonl").read_bytes()
    corpus = divide(parse(data, "orders.jsonl", Reading(kind="extract")), seed=0)
    copy(EXAMPLES / "make_orders.py", tmp_path)
    subprocess.run([sys.executable, tmp_path / "make_orders.py"], check=True, timeout=20)

    assert '"required": ["count", "item", "name"]' in corpus.json_schema
    assert (tmp_path / "orders.jsonl").read_bytes() == data


def test_the_metric_is_one() -> None:
    source = check_metric_source((EXAMPLES / "metric.py").read_bytes(), "metric.py")
    names: dict[str, object] = {}
    exec(compile(source, "metric.py", "exec"), names)
    metric = names["metric"]
    expected = {"name": "Ana", "count": 3, "item": "jars of honey"}

    assert callable(metric)
    assert metric(expected, expected) == 1.0
    assert metric(expected, {**expected, "count": 4}) == pytest.approx(0.6)
    assert metric(expected, "no idea") == 0.0
