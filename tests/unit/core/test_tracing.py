"""Traces: their ids, what is told of a step, and that nothing happens when they are off."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from master.traces import step_spans
from tasks.errors import InvalidInput, Unhealthy
from tasks.tracing import Span, check_tracing, span_of, trace_of, traced, traced_attempt

START = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Kept:
    """Stands for a tracer."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def emit(self, span: Span) -> None:
        self.spans.append(span)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_ids_follow_from_the_step_and_differ_between_steps_runs_and_attempts() -> None:
    assert trace_of("r-1", 7) == trace_of("r-1", 7)
    assert 0 < trace_of("r-1", 7) < 2**128
    assert len({trace_of("r-1", 7), trace_of("r-1", 8), trace_of("r-2", 7)}) == 3
    spans = {span_of(kind, "r-1", 7, attempt) for kind in ("queued", "attempt") for attempt in (1, 2)}
    assert len(spans | {span_of("step", "r-1", 7)}) == 5
    assert all(0 < span < 2**64 for span in spans)


def test_a_step_tried_twice_is_told_with_both_attempts_and_both_waits() -> None:
    step: Any = SimpleNamespace(
        id=7,
        run_id="r-1",
        task="darwin.evaluate",
        lane="gpu",
        state="done",
        created_at=START,
        finished_at=after(9),
    )
    tried: Any = [
        SimpleNamespace(
            attempt=number,
            worker=worker,
            build="b",
            claimed_at=after(claimed),
            ended_at=after(ended),
            outcome=outcome,
        )
        for number, worker, claimed, ended, outcome in ((1, "one", 1, 4, "crashed"), (2, "two", 6, 9, "done"))
    ]
    spans = list(step_spans(step, tried))
    shown = [(span.name, (span.ended_ns - span.started_ns) // 10**9, span.failed) for span in spans]
    assert shown == [
        ("queued", 1, False),
        ("attempt", 3, True),
        ("queued", 2, False),
        ("attempt", 3, False),
        ("darwin.evaluate", 9, False),
    ]
    root = spans[-1]
    assert {span.parent for span in spans[:-1]} == {root.id}
    assert [moment.name for moment in root.moments] == ["created", "claimed", "claimed", "result"]
    assert {span.trace for span in spans} == {trace_of("r-1", 7)}


def test_what_a_handler_does_hangs_below_the_masters_attempt() -> None:
    kept: Any = Kept()
    with traced_attempt(kept, "r-1", 7, 2), traced("handle", task="t"), traced("sandbox", executor="native"):
        pass
    sandbox, handle = kept.spans
    assert handle.parent == span_of("attempt", "r-1", 7, 2)
    assert sandbox.parent == handle.id
    assert (handle.attributes, sandbox.attributes) == ({"d8.task": "t"}, {"d8.executor": "native"})


def test_what_raises_has_failed_and_its_text_is_not_told() -> None:
    kept: Any = Kept()
    with pytest.raises(ValueError, match="own words"), traced_attempt(kept, "r-1", 7, 1), traced("handle"):
        raise ValueError("the owner's own words")
    assert (kept.spans[0].failed, kept.spans[0].attributes) == (True, {"d8.error": "ValueError"})


def test_without_a_tracer_nothing_is_told() -> None:
    with traced_attempt(None, "r-1", 7, 1), traced("handle") as span:
        span["error"] = "failed"


def test_a_wrong_address_and_missing_packages_are_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    check_tracing("")
    with pytest.raises(InvalidInput, match="looks like http://collector:4318"):
        check_tracing("collector:4318")
    check_tracing("http://collector:4318")
    monkeypatch.setattr("tasks.tracing.importlib.util.find_spec", lambda name: None)
    with pytest.raises(Unhealthy, match=r"pip install --require-hashes -r requirements/otel.lock"):
        check_tracing("http://collector:4318")
