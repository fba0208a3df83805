"""What may have come of what, from when steps were asked for and when they ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from master.dispatch.states import StepKind
from master.flows.succession import StepTimes, came_of, is_aside, may_rest_on, passes_of

BEGAN = datetime(2026, 11, 21, tzinfo=UTC)


def step(number: int, asked: float, ended: float | None, kind: StepKind = StepKind.TASK) -> StepTimes:
    """A step that was asked for and ended so many seconds after the beginning."""
    return StepTimes(
        id=number,
        key=f"s{number}",
        kind=kind,
        created_at=BEGAN + timedelta(seconds=asked),
        ended_at=None if ended is None else BEGAN + timedelta(seconds=ended),
    )


#: Two at once; when both had ended one more; an act of the pass after that, and what that pass asked for.
RUN = [
    step(1, 0, 5),
    step(2, 0, 9),
    step(3, 10, 20),
    step(4, 21, 21, StepKind.ACT),
    step(5, 22, None),
]


def ids(steps: object) -> list[int]:
    return [each.id for each in steps]  # type: ignore[attr-defined]


def test_what_was_asked_for_after_an_end_may_have_come_of_it() -> None:
    assert ids(came_of(RUN[0], RUN)) == [1, 3, 4, 5], "not its neighbor of the same pass"
    assert ids(came_of(RUN[2], RUN)) == [3, 4, 5]
    assert ids(came_of(RUN[3], RUN)) == [4, 5]
    assert ids(came_of(RUN[4], RUN)) == [5], "it is still open"


def test_in_one_moment_only_an_act_comes_before_what_its_pass_asks_for() -> None:
    act, asked = step(1, 3, 3, StepKind.ACT), step(2, 3, 4)
    assert may_rest_on(asked, act)
    assert not may_rest_on(step(2, 3, 4), step(1, 3, 3)), "one pass asked for both"
    assert may_rest_on(step(2, 3, 4), step(1, 2, 3)), "it had ended when the pass was written down"


def test_passes_name_only_the_nearest_of_what_they_knew() -> None:
    found = passes_of(RUN)
    assert [ids(each.steps) for each in found] == [[1, 2], [3], [4], [5]]
    assert [sorted(ids(each.rests_on)) for each in found] == [[], [1, 2], [3], [4]]
    assert [each.layer for each in found] == [0, 1, 2, 3]


def test_a_pass_that_was_woken_by_one_of_many_rests_on_that_one() -> None:
    """Any of three ends, a next one is asked for: the other two are in nobody's past yet."""
    run = [step(1, 0, 2), step(2, 0, 30), step(3, 0, None), step(4, 3, 8), step(5, 9, 10), step(6, 31, None)]
    found = passes_of(run)
    assert [(ids(each.steps), ids(each.rests_on), each.layer) for each in found] == [
        ([1, 2, 3], [], 0),
        ([4], [1], 1),
        ([5], [4], 2),
        ([6], [2, 5], 3),
    ]


def test_nothing_has_no_passes() -> None:
    assert passes_of([]) == []


def test_what_is_set_aside_says_so_in_its_key() -> None:
    assert is_aside("middle#aside-12")
    assert is_aside("ask#withdrawn-3")
    assert not is_aside("aside:3")
