from __future__ import annotations

import pytest

from master.darwin.racing import (
    Rules,
    Verdict,
    differences,
    displaced,
    is_beaten,
    judge,
    next_block,
    ranking,
    retest,
)

RULES = Rules(blocks=4)
GOOD = (1.0, 1.0, 0.0, 1.0, 1.0, 1.0)
BAD = (0.0, 1.0, 0.0, 0.0, 0.0, 0.0)


def answered(block: tuple[float, ...], *numbers: int) -> dict[int, tuple[float, ...]]:
    return dict.fromkeys(numbers, block)


def test_only_shared_blocks_are_compared_example_by_example() -> None:
    first, second = {0: (1.0, 0.0), 2: (1.0, 1.0)}, {0: (0.0, 0.0), 1: (0.0, 0.0)}

    assert differences(first, second) == [1.0, 0.0]


def test_paired_test_agrees_with_a_published_example() -> None:
    # Student's own: additional hours of sleep by two drugs, Biometrika 6 (1908) 1-25; paired t = -4.0621.
    sleep = [-1.2, -2.4, -1.3, -1.3, 0.0, -1.0, -1.8, -0.8, -4.6, -1.4]

    assert is_beaten(sleep, 0.00142)
    assert not is_beaten(sleep, 0.00141)
    assert not is_beaten([-one for one in sleep], 0.2)


def test_the_fewer_examples_are_left_the_less_it_takes_to_be_beaten() -> None:
    slightly = [-0.1, 0.1, -0.1, 0.05, -0.1, 0.1]

    assert not is_beaten(slightly, 0.2)
    assert is_beaten(slightly, 0.2, left=0.01)


def test_a_single_example_or_a_tie_beats_nobody() -> None:
    assert not is_beaten([-1.0], 0.2)
    assert not is_beaten([0.0] * 50, 0.2)
    assert is_beaten([-1.0, -1.0, -1.0], 0.2)
    assert not is_beaten([-1.0, -1.0], 0.2)


def test_a_challenger_that_is_clearly_worse_stops_after_its_first_block() -> None:
    decision = judge(answered(BAD, 0), [answered(GOOD, 0, 1)], RULES)

    assert (decision.verdict, decision.beaten_by) == (Verdict.REJECT, 1)


def test_a_challenger_loses_only_to_as_many_as_there_are_places() -> None:
    incumbents = [answered(GOOD, 0, 1), answered(BAD, 0, 1)]
    worse = answered((0.0,) * 6, 0)

    assert judge(worse, incumbents, Rules(blocks=4, places=3)).verdict is Verdict.GO_ON
    assert judge(worse, incumbents, RULES).verdict is Verdict.REJECT


def test_a_better_challenger_answers_what_the_incumbent_has_answered_and_gets_its_place() -> None:
    incumbent = answered(BAD, 0, 2)

    assert judge(answered(GOOD, 0), [incumbent], RULES).block == 2
    assert judge(answered(GOOD, 0, 2), [incumbent], RULES).verdict is Verdict.ACCEPT


def test_an_equal_does_not_displace_an_incumbent() -> None:
    assert judge(answered(GOOD, 0), [answered(GOOD, 0)], RULES).verdict is Verdict.REJECT


def test_the_first_genome_of_a_run_answers_its_own_block_and_gets_a_place() -> None:
    assert judge({}, [], RULES, start=6).block == 2
    assert judge(answered(BAD, 2), [], RULES, start=6).verdict is Verdict.ACCEPT


def test_the_block_that_most_incumbents_share_comes_first_and_ties_turn_with_the_challenger() -> None:
    incumbents = [answered(GOOD, 1, 3), answered(GOOD, 3)]

    assert next_block({}, incumbents, RULES) == 3
    assert [next_block({}, [answered(GOOD, 0, 1, 2, 3)], RULES, start) for start in range(5)] == [
        *range(4),
        0,
    ]
    assert next_block(answered(GOOD, 1, 3), incumbents, RULES) is None


def test_rank_is_by_who_beats_whom_on_the_same_examples_and_not_by_easy_blocks() -> None:
    entrants = {
        "easy": {0: (1.0, 1.0)},
        "hard": {0: (1.0, 1.0), 1: (0.0, 0.0), 2: (1.0, 0.0)},
        "worse": {0: (1.0, 0.0), 2: (0.0, 0.0)},
    }

    assert ranking(entrants) == ["easy", "hard", "worse"]
    assert displaced(entrants, Rules(blocks=4, places=2)) == "worse"
    assert displaced(entrants, Rules(blocks=4, places=3)) is None


def test_the_leader_is_tested_on_the_blocks_that_others_have_answered_before_new_ones() -> None:
    held = {"a": answered(GOOD, 0), "b": answered(BAD, 0, 2)}

    assert retest(held, RULES) == ("a", 2)
    assert retest({"a": answered(GOOD, 0, 1, 2, 3)}, RULES) is None
    assert retest({}, RULES) is None


@pytest.mark.parametrize(
    "wrong",
    [{"blocks": 0}, {"blocks": 3, "places": 0}, {"blocks": 2, "first": 3}, {"blocks": 2, "alpha": 0.0}],
)
def test_rules_that_cannot_be_kept_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"must be|cannot be kept"):
        Rules(**wrong)


def test_racing_saves_half_of_the_answers_and_hardly_any_quality() -> None:
    from tests.bench.racing import measure

    found = measure(tasks=60)

    assert found["racing_saved_pct"] > 45
    assert found["racing_regret_points"] < 0.5
