from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from master.darwin.heldout import Comparison, compare_scores, compare_sets, estimate, permutation_test
from master.darwin.statistics import sign_test, wilson


def chance(seed: int = 0) -> random.Random:
    return random.Random(seed)


def test_right_and_wrong_get_wilsons_interval_and_mcnemars_exact_test() -> None:
    seed = [1.0] * 60 + [0.0] * 40
    best = [1.0] * 58 + [0.0] * 2 + [1.0] * 15 + [0.0] * 25

    found = compare_scores(seed, best, chance())

    interval = wilson(73, 100)
    assert (found.best.low, found.best.high, found.best.method) == (interval.low, interval.high, "wilson")
    assert (found.test, found.p_value) == ("mcnemar", sign_test(15, 2))
    assert (found.only_best, found.only_seed) == (15, 2)
    assert found.better
    assert found.text.startswith("Better: the best genome scores 73.0%")


def test_graded_scores_get_students_interval() -> None:
    # NIST/SEMATECH e-Handbook 1.3.5.2: the half-width is t * s / sqrt(n); here s = 0.1, n = 5, t = 2.7764.
    found = estimate([0.4, 0.45, 0.5, 0.55, 0.6])

    assert found.method == "t"
    assert found.low == pytest.approx(0.5 - 2.776445 * 0.0790569 / 5**0.5, abs=1e-6)


def test_equal_graded_scores_are_not_taken_for_certainty() -> None:
    found = estimate([0.5] * 10)

    assert found.low < 0.3
    assert found.high > 0.7


def test_few_graded_differences_are_permuted_in_every_way() -> None:
    # R. A. Fisher's use of Darwin's maize, The Design of Experiments (1935), section 21: of 2**15 ways,
    # 1,726 give a sum at least as large as 314; two-sided p = 0.0527. The drawn estimate must be near.
    maize = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
    assert permutation_test(maize, chance()) == pytest.approx(1726 / 2**15, abs=0.006)
    # Six gains and no loss: two of the 64 ways are as extreme.
    assert permutation_test([0.1, 0.2, 0.3, 0.1, 0.4, 0.2], chance()) == 2 / 64
    assert permutation_test([0.0, 0.0], chance()) == 1.0


def test_a_gain_that_chance_may_explain_is_said_to_be_none() -> None:
    seed = [0.0, 1.0] * 20
    found = compare_scores(seed, [1.0, *seed[1:]], chance())

    assert found.gain > 0
    assert not found.better
    assert found.text.startswith("Not shown to be better")


def test_a_best_that_is_no_better_is_said_to_be_no_better() -> None:
    found = compare_scores([1.0, 0.5, 0.7], [1.0, 0.4, 0.7], chance())

    assert not found.better
    assert found.text.startswith("Not better")


def test_a_best_that_is_clearly_worse_is_never_called_better() -> None:
    found = compare_scores([1.0] * 20, [0.0] * 20, chance())

    assert found.p_value < 0.001
    assert not found.better
    assert found.text.startswith("Not better")


def test_equals_are_seldom_called_better() -> None:
    wrongly = 0
    for seed in range(60):
        rng = random.Random(seed)
        one, other = [rng.random() for _ in range(16)], [rng.random() for _ in range(16)]
        wrongly += compare_scores(one, other, chance()).better
    # One of forty comparisons, on average: of 60, six would be one in a thousand.
    assert wrongly <= 5


def _right(pairs: Sequence[tuple[str, str]]) -> float:
    return sum(one == other for one, other in pairs) / len(pairs)


def test_figures_of_whole_sets_are_resampled_and_exchanged() -> None:
    seed = [("a", "a"), ("a", "b")] * 25
    best = [("a", "a")] * 45 + [("a", "b")] * 5

    found = compare_sets(seed, best, _right, chance())

    assert found.test == "randomization"
    assert found.best.low < 0.9 < found.best.high
    assert found.gain_low < 0.4 < found.gain_high
    assert found.better
    assert compare_sets(seed, best, _right, chance()) == found


def test_the_same_answers_are_no_gain() -> None:
    pairs = [("a", "a"), ("a", "b")] * 10

    found: Comparison = compare_sets(pairs, pairs, _right, chance())

    assert (found.gain, found.p_value, found.better) == (0.0, 1.0, False)


def test_nothing_or_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to estimate"):
        estimate([])
    with pytest.raises(ValueError, match=r"one is 1\.5"):
        estimate([0.2, 1.5])
    with pytest.raises(ValueError, match="nothing to compare"):
        compare_sets([], [], _right, chance())
    with pytest.raises(ValueError, match="nothing to compare"):
        compare_scores([], [], chance())
