"""The pictures of a run: its steps as a graph, and who did what when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from master.web.runs.graph import MOST_STEPS, draw_graph
from master.web.runs.timeline import Span, draw_timeline, spans_of, ticks_of

BEGAN = datetime(2026, 11, 21, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def step(number: int, key: str, asked: float, ended: float | None, **more: Any) -> dict[str, Any]:
    made = {"id": number, "key": key, "kind": "task", "state": "done" if ended is not None else "running"}
    times = {"created_at": at(asked), "finished_at": None if ended is None else at(ended)}
    return {**made, **times, "worker": "w", "attempts": 1, "error": "", **more}


def test_a_chain_stands_in_columns_with_a_line_between_each() -> None:
    drawn = draw_graph([step(1, "a", 0, 1), step(2, "b", 2, 3), step(3, "c", 4, None)])
    assert drawn is not None
    assert [box.label for box in drawn.boxes] == ["a", "b", "c"]
    assert [box.x for box in drawn.boxes] == sorted({box.x for box in drawn.boxes})
    assert len({box.y for box in drawn.boxes}) == 1
    assert (len(drawn.lines), drawn.bars) == (2, ())
    assert [box.state for box in drawn.boxes] == ["done", "done", "running"]


def test_several_that_were_known_and_asked_for_meet_in_one_bar() -> None:
    drawn = draw_graph(
        [step(n, f"a{n}x", 0, 1) for n in (1, 2)] + [step(n, f"b{n}x", 2, 3) for n in (3, 4, 5)]
    )
    assert drawn is not None
    assert len(drawn.bars) == 1
    assert len(drawn.lines) == 2 + 3, "not two times three"
    assert drawn.height >= 3 * drawn.box_height


def test_many_alike_of_one_pass_are_one_box_with_its_states() -> None:
    steps = [step(n, f"noop:{n}", 0, 1 if n > 2 else None) for n in range(1, 41)]
    steps[-1]["state"] = "failed"
    drawn = draw_graph([*steps, step(41, "other", 0, 1)])
    assert drawn is not None
    many, other = drawn.boxes
    assert (many.label, many.states, many.state) == (
        "noop:…",
        (("failed", 1), ("running", 2), ("done", 37)),
        "failed",
    )
    assert round(sum(part["width"] for part in many.parts)) == drawn.box_width - 20
    assert other.label == "other"


def test_what_is_set_aside_is_not_drawn_and_what_is_too_much_neither() -> None:
    assert draw_graph([]) is None
    assert draw_graph([step(1, "a#aside-1", 0, 1)]) is None
    drawn = draw_graph([step(1, "a#aside-1", 0, 1), step(2, "a", 2, 3)])
    assert drawn is not None
    assert len(drawn.boxes) == 1
    assert draw_graph([step(n, f"s:{n}", 0, 1) for n in range(MOST_STEPS + 1)]) is None
    assert draw_graph([step(n, f"s:{n}", n, n + 0.5) for n in range(100)]) is None, "too long a chain"


def test_everyone_has_a_lane_with_as_many_rows_as_they_did_at_a_time() -> None:
    spans = [
        Span(who="garage", what="a", state="done", begun=at(0), ended=at(60)),
        Span(who="garage", what="b", state="done", begun=at(30), ended=at(90)),
        Span(who="garage", what="c", state="running", begun=at(70), ended=None),
        Span(who="attic", what="d", state="failed", begun=at(10), ended=at(10)),
    ]
    drawn = draw_timeline(spans, at(120))
    assert drawn is not None
    assert [(lane.who, lane.height) for lane in drawn.lanes] == [("garage", 40), ("attic", 20)]
    strips = {strip.span.what: strip for strip in drawn.strips}
    assert strips["a"].y == strips["c"].y != strips["b"].y, "the first row is free again"
    assert strips["a"].width == 850 / 2
    assert strips["d"].width == 2, "so short, and yet seen"
    assert (strips["c"].seconds, strips["c"].x + strips["c"].width) == (50, drawn.left + 850)
    assert all(strip.x + strip.width <= drawn.width for strip in drawn.strips)
    assert draw_timeline([], at(0)) is None


def test_attempts_are_their_workers_and_questions_the_owners() -> None:
    attempt = {"worker": "w", "key": "a", "outcome": "", "claimed_at": at(0), "ended_at": None}
    asked = step(2, "ask", 5, None, kind="approval", state="waiting")
    found = spans_of([attempt], [step(1, "a", 0, None), asked], owner="you")
    assert [(span.who, span.what, span.state) for span in found] == [
        ("w", "a", "running"),
        ("you", "ask", "waiting"),
    ]


def test_ticks_stand_in_round_steps() -> None:
    assert ticks_of(120) == [0, 30, 60, 90, 120]
    assert ticks_of(3600) == [0, 600, 1200, 1800, 2400, 3000, 3600]
    assert ticks_of(0.5) == [0, 0.1, 0.2, 0.3, 0.4, 0.5]
