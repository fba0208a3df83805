"""What the pages show, from plain values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from master.ledger.money import format_money
from master.web.views import (
    collapse_events,
    describe_hardware,
    describe_usage,
    format_age,
    format_duration,
    format_latency,
    model_server_of,
    percent,
    pick_pictures,
    slots_of,
    steps_to_show,
    to_node,
    took,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def event(seq: int, name: str = "step_done", run_id: str = "r", worker: str = "w") -> dict[str, Any]:
    return {"seq": seq, "name": name, "run_id": run_id, "worker": worker, "step_id": seq, "data": {}}


@pytest.mark.parametrize(
    ("minor", "currency", "shown"),
    [
        (1250, "EUR", "12.50 EUR"),
        (5, "EUR", "0.05 EUR"),
        (-199, "USD", "-1.99 USD"),
        (123456789, "EUR", "1,234,567.89 EUR"),
        (9990, "CLP", "9,990 CLP"),
        (1, "KWD", "0.001 KWD"),
    ],
)
def test_money_has_the_places_of_its_currency(minor: int, currency: str, shown: str) -> None:
    assert format_money(minor, currency) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-1, "0 s"),
        (0.44, "0.4 s"),
        (9.97, "10 s"),
        (59.6, "1 min"),
        (184, "3 min 4 s"),
        (7500, "2 h 5 min"),
        (273600, "3 d 4 h"),
    ],
)
def test_duration_shows_its_two_largest_units(seconds: float, shown: str) -> None:
    assert format_duration(seconds) == shown


def test_age_of_a_moment_that_is_ahead_of_our_clock_is_zero() -> None:
    assert format_age(NOW + timedelta(seconds=30), NOW) == "0 s"
    assert format_age(NOW - timedelta(minutes=125), NOW) == "2 h"


def test_what_has_not_started_took_no_time_and_what_runs_is_measured_until_now() -> None:
    assert took(None, None, NOW) == ""
    assert took(NOW - timedelta(seconds=12), None, NOW) == "12 s"
    assert took(NOW - timedelta(seconds=90), NOW - timedelta(seconds=60), NOW) == "30 s"


@pytest.mark.parametrize(("progress", "shown"), [(-0.5, 0), (0.29, 29), (0.999, 99), (1.0, 100), (7.0, 100)])
def test_progress_is_whole_only_at_the_end(progress: float, shown: int) -> None:
    assert percent(progress) == shown


def test_record_becomes_labeled_values() -> None:
    node = to_node({"cost_minor": 5, "Report.md": None, "better": True, "fitness": 0.123456})
    assert node.kind == "group"
    assert [(label, each.text) for label, each in node.items] == [
        ("cost minor", "5"),
        ("Report.md", "–"),
        ("better", "yes"),
        ("fitness", "0.1235"),
    ]


def test_list_of_flat_records_becomes_a_table_with_every_column() -> None:
    node = to_node([{"a": 1}, {"a": 2, "b_c": "x"}])
    assert (node.kind, node.columns) == ("table", ("a", "b c"))
    assert [[each.text for each in row] for row in node.rows] == [["1", "–"], ["2", "x"]]


def test_list_of_nested_records_stays_a_list() -> None:
    node = to_node([{"a": {"b": 1}}])
    assert node.kind == "list"
    assert node.items[0][1].kind == "group"


def test_short_list_of_words_is_one_line() -> None:
    assert to_node(["spain", "portugal"]).text == "spain, portugal"


def test_digest_is_recognized_so_that_it_can_be_a_link() -> None:
    assert to_node("ab" * 32).kind == "digest"
    assert to_node("AB" * 32).kind == "text"


def test_long_value_is_cut_and_says_by_how_much() -> None:
    assert to_node({str(number): number for number in range(70)}, most=60).more == 10
    assert to_node([{"a": number} for number in range(61)], most=60).more == 1


def test_endlessly_nested_value_ends() -> None:
    value: Any = "core"
    for _ in range(50):
        value = {"deeper": value}
    node = to_node(value)
    depth = 0
    while node.kind == "group":
        node, depth = node.items[0][1], depth + 1
    assert depth == 6


def test_neighboring_step_events_are_joined_and_claims_left_out() -> None:
    rows = collapse_events(
        [event(5), event(4, "step_claimed"), event(3), event(2, worker="other"), event(1, "run_started")],
        most=9,
    )
    assert [(row["seq"], row["count"]) for row in rows] == [(5, 2), (2, 1), (1, 1)]


def test_last_row_of_the_events_still_counts_its_neighbors() -> None:
    rows = collapse_events([event(4, "run_done"), event(3), event(2), event(1, "run_started")], most=2)
    assert [(row["name"], row["count"]) for row in rows] == [("run_done", 1), ("step_done", 2)]


def test_failures_of_the_same_run_are_never_joined() -> None:
    rows = collapse_events([event(2, "attempt_failed"), event(1, "attempt_failed")], most=9)
    assert len(rows) == 2


def test_few_steps_keep_their_order_and_of_many_the_failed_come_first() -> None:
    steps = [{"id": 1, "state": "done"}, {"id": 2, "state": "running"}, {"id": 3, "state": "failed"}]
    steps.append({"id": 4, "state": "done"})
    assert [step["id"] for step in steps_to_show(steps, most=4)] == [1, 2, 3, 4]
    assert [step["id"] for step in steps_to_show(steps, most=3)] == [3, 2, 4]


def test_slots_are_drawn_only_while_they_can_be_counted_at_a_glance() -> None:
    assert slots_of({"running": [{}], "slots": 3})["pips"] == [True, False, False]
    assert slots_of({"running": [{}], "slots": 64})["pips"] == []
    # A worker that was restarted with fewer slots still finishes what it had.
    assert slots_of({"running": [{}, {}], "slots": 1})["pips"] == [True, True]


def test_hardware_names_its_gpus() -> None:
    about = {"cpus": 8, "memory_mib": 16384, "gpus": [{"name": "RTX 3090", "memory_mib": 24576}]}
    assert describe_hardware(about) == "8 CPUs, 16.0 GiB, RTX 3090 24.0 GiB"


def test_largest_picture_stands_for_its_run() -> None:
    found = pick_pictures(
        [
            {"run_id": "r", "digest": "favicon", "size": 10},
            {"run_id": "r", "digest": "chart", "size": 900},
            {"run_id": "s", "digest": "other", "size": 5},
        ]
    )
    assert {run: picture["digest"] for run, picture in found.items()} == {"r": "chart", "s": "other"}


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.0, "0 ms"), (0.0371, "37 ms"), (0.9996, "1.0 s"), (75.0, "1 min 15 s")]
)
def test_latency_is_shown_in_milliseconds_below_a_second(seconds: float, shown: str) -> None:
    assert format_latency(seconds) == shown


def test_worker_without_a_model_server_shows_none() -> None:
    assert model_server_of({"model_server": None}) is None


def test_model_server_that_has_done_nothing_is_shown_without_dividing_by_its_rows() -> None:
    shown = model_server_of({"model_server": {}})
    assert shown is not None
    assert (shown["busy"], shown["models"]) == (0.0, ())
    assert dict(shown["facts"])["answers"] == "0 done"


def test_usage_names_the_model_and_what_it_cost() -> None:
    model = {"model": "openai:http://h/v1#m", "sha256": "a" * 64, "dtype": "remote", "device": "http://h"}
    usage = {
        "prompt_tokens": 1000,
        "generated_tokens": 234,
        "seconds": 2.5,
        "cost_micros": 1500,
        "models": [model],
    }
    shown = describe_usage(usage)
    assert (
        shown == "openai:http://h/v1#m (remote, http://h, aaaaaaaaaaaa), 1,234 tokens, 2.5 s, cost 0.001500"
    )


def test_usage_of_a_model_that_was_not_described_names_it_all_the_same() -> None:
    unknown = {"model": "fake:", "sha256": "", "dtype": "", "device": ""}
    assert describe_usage({"models": [unknown]}) == "fake:, 0 tokens, 0 ms"
    assert describe_usage({}) == ""
