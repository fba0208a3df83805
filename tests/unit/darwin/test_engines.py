"""Engines by themselves: what they are asked and told decides all they do."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from master.darwin.engines import gepa_replay, pareto
from master.darwin.engines.choose import make_engine
from master.darwin.engines.cma_es import CmaEs
from master.darwin.engines.code import CodeVariation
from master.darwin.engines.objectives import Objectives
from master.darwin.engines.protocol import Engine, Evaluation, Failed, Outcome, Proposed, Trial, Wish
from master.darwin.engines.replay import replay
from master.darwin.engines.rules import Rules
from master.darwin.engines.vector import Space, VectorVariation
from master.darwin.genome import Space as Space_
from master.darwin.variation import TextVariation
from tasks.errors import D8Error, InvalidInput

BITS = VectorVariation(Space(size=16, whole=True))
REALS = VectorVariation(Space(size=3, low=-5, high=5))
NAMES = ("steady", "generational")
BLOCKS = ((0, 1), (2, 3), (4, 5))

Judge = Callable[[Trial[Any]], Outcome]


def ones(trial: Trial[Any]) -> Outcome:
    return Evaluation(scores=tuple(float(sum(trial.candidate.genome)) for _ in trial.examples))


def drive(
    engine: Engine[Any], judge: Judge, chance: random.Random, parallel: int = 4, most: int = 10_000
) -> list[tuple[int, int, Outcome]]:
    """Keep ``parallel`` asks open, answer them in an order of chance; returns what ``replay`` plays back."""
    open_asks: list[tuple[Any, int]] = []
    log: list[tuple[int, int, Outcome]] = []
    while len(log) < most:
        while len(open_asks) < parallel and (ask := engine.ask()) is not None:
            open_asks.append((ask, len(log)))
        if not open_asks:
            break
        ask, after = open_asks.pop(chance.randrange(len(open_asks)))
        outcome = Proposed(genomes=()) if isinstance(ask, Wish) else judge(ask)
        engine.tell(ask.number, outcome)
        log.append((ask.number, after, outcome))
    return log


def rules(**changes: Any) -> Rules:
    return Rules(**{"seed": 1, "budget": 80, "population": 6, **changes})


@pytest.mark.parametrize("name", NAMES)
@given(st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_asks_and_tells_played_back_give_the_same_engine(name: str, seed: int) -> None:
    many = rules(seed=seed, blocks=BLOCKS)
    engine = make_engine(name, BITS, many, None)
    log = drive(engine, ones, random.Random(seed))
    again = make_engine(name, BITS, many, None)

    replay(again, log)

    assert again.snapshot() == engine.snapshot()


@pytest.mark.parametrize("name", NAMES)
@given(st.integers(0, 1000), st.integers(0, 79))
@settings(max_examples=15, deadline=None)
def test_a_snapshot_goes_on_as_the_engine_would_have(name: str, seed: int, stop: int) -> None:
    many = rules(seed=seed, blocks=BLOCKS)
    engine = make_engine(name, BITS, many, None)
    drive(engine, ones, random.Random(seed), parallel=1, most=stop)
    taken_up = make_engine(name, BITS, many, json.loads(json.dumps(engine.snapshot())))

    drive(engine, ones, random.Random(0), parallel=1)
    drive(taken_up, ones, random.Random(0), parallel=1)

    assert taken_up.snapshot() == engine.snapshot()


@pytest.mark.parametrize("name", NAMES)
def test_the_budget_is_exact_whatever_fails(name: str) -> None:
    chance = random.Random(3)

    def often_fails(trial: Trial[Any]) -> Outcome:
        return Failed(error="no") if chance.random() < 0.4 else ones(trial)

    engine = make_engine(name, BITS, rules(), None)
    log = drive(engine, often_fails, random.Random(1))

    assert engine.spent == len(log) == 80
    assert engine.finished
    assert engine.ask() is None
    assert engine.successes + sum(isinstance(outcome, Failed) for _, _, outcome in log) == 80


@pytest.mark.parametrize("name", NAMES)
def test_a_candidate_that_failed_is_no_parent_and_holds_no_place(name: str) -> None:
    failed: set[int] = set()

    def odd_fail(trial: Trial[Any]) -> Outcome:
        if sum(trial.candidate.genome) % 2:
            failed.add(trial.candidate.number)
            return Failed(error="odd")
        return ones(trial)

    engine = make_engine(name, BITS, rules(unborn_parents=0.0), None)
    parents: set[int] = set()

    def judge(trial: Trial[Any]) -> Outcome:
        parents.update(trial.candidate.parents)
        return odd_fail(trial)

    drive(engine, judge, random.Random(1), parallel=1)

    assert failed
    assert not parents & failed
    assert not {one.candidate.number for one in engine.best()} & failed


def test_steady_state_always_has_something_to_ask_while_others_are_slow() -> None:
    engine = make_engine("steady", BITS, rules(), None)
    assert [engine.ask() is not None for _ in range(20)] == [True] * 20


def test_a_generation_waits_for_its_slowest() -> None:
    engine = make_engine("generational", BITS, rules(), None)
    asks = [engine.ask() for _ in range(7)]
    assert asks[6] is None
    for ask in asks[:5]:
        assert isinstance(ask, Trial)
        engine.tell(ask.number, ones(ask))
    assert engine.ask() is None
    assert isinstance(asks[5], Trial)
    engine.tell(asks[5].number, ones(asks[5]))
    assert engine.ask() is not None


def test_a_tell_that_was_not_asked_is_refused() -> None:
    engine = make_engine("steady", BITS, rules(), None)
    with pytest.raises(D8Error, match="ask 5 is told and was not asked"):
        engine.tell(5, Evaluation(scores=(1.0,)))


def test_records_of_other_rules_do_not_play_back() -> None:
    engine = make_engine("generational", BITS, rules(), None)
    log = drive(engine, ones, random.Random(1))
    short = make_engine("generational", BITS, rules(budget=10), None)
    with pytest.raises(D8Error, match="other rules"):
        replay(short, log)


def test_losers_of_a_race_stop_and_leaders_go_on() -> None:
    chance = random.Random(5)
    answered: dict[int, int] = {}

    def noisy(trial: Trial[Any]) -> Outcome:
        answered[trial.candidate.number] = answered.get(trial.candidate.number, 0) + len(trial.examples)
        share = sum(trial.candidate.genome) / 16
        return Evaluation(scores=tuple(float(chance.random() < share) for _ in trial.examples))

    blocks = tuple(tuple(range(at, at + 8)) for at in range(0, 48, 8))
    engine = make_engine("steady", BITS, rules(budget=300, blocks=blocks), None)
    drive(engine, noisy, random.Random(1))

    assert sum(count < 48 for count in answered.values()) > len(answered) / 2
    assert len(engine.best()[0].scores) == 48


def test_a_wish_that_is_granted_is_tried_and_named_for_its_parent() -> None:
    engine = make_engine("steady", BITS, rules(reflect=1.0), None)
    wished: list[Wish] = []
    told = 0
    while (ask := engine.ask()) is not None:
        if isinstance(ask, Wish):
            wished.append(ask)
            engine.tell(ask.number, Proposed(genomes=([len(wished) % 2] * 16,)))
        else:
            if wished and ask.candidate.operators == ("reflect",):
                told += 1
                assert ask.candidate.parents == (wished[-1].request["candidate"],)
            engine.tell(ask.number, Evaluation(scores=(0.5,), feedback=("it was wrong",)))
    assert told == 2, "the same genome is not tried again"


def test_a_wish_for_something_that_is_no_genome_costs_nothing() -> None:
    engine = make_engine("steady", BITS, rules(reflect=1.0, budget=12), None)
    wishes = 0
    while (ask := engine.ask()) is not None:
        if isinstance(ask, Wish):
            wishes += 1
            engine.tell(ask.number, Proposed(genomes=(["no genome"],)))
        else:
            engine.tell(ask.number, Evaluation(scores=(0.5,), feedback=("wrong",)))
    assert engine.spent == engine.successes == 12
    assert 0 < wishes <= 12, "wishes that come to nothing come to an end"


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=30))
def test_nothing_in_a_front_is_beaten_by_anything_in_it_or_below(points: list[tuple[int, int]]) -> None:
    found = pareto.fronts(points)

    assert sorted(at for front in found for at in front) == list(range(len(points)))
    for number, front in enumerate(found):
        below = [at for later in found[number:] for at in later]
        assert not any(pareto.dominates(points[other], points[at]) for at in front for other in below)
        if number:
            before = found[number - 1]
            assert all(any(pareto.dominates(points[other], points[at]) for other in before) for at in front)


def test_several_objectives_keep_what_none_beats() -> None:
    def both(trial: Trial[Any]) -> Outcome:
        total = sum(trial.candidate.genome)
        return Evaluation(scores=(float(total),), objectives=(float(total), float(-total)))

    engine = make_engine("steady", BITS, rules(objectives=Objectives.GIVEN), None)
    drive(engine, both, random.Random(2))

    totals = {sum(one.candidate.genome) for one in engine.best()}
    assert len(totals) >= 5, "all of them trade one for the other, so they spread"


@given(st.integers(0, 2**32))
def test_vectors_stay_within_their_bounds(seed: int) -> None:
    rng = random.Random(seed)
    one, other = REALS.seeds(2, seed)
    for _ in range(20):
        one, _ = REALS.mutate(one, rng)
        other = REALS.cross(one, other, rng)
        assert REALS.load(REALS.dump(one)) == one
        assert REALS.load(REALS.dump(other)) == other


@pytest.mark.parametrize("data", [[1.0], "123", [1.0, 2.0, float("nan")], [0.0, 0.0, 6.0], [True, 0, 0]])
def test_what_is_no_vector_of_this_space_is_refused(data: Any) -> None:
    with pytest.raises(InvalidInput):
        REALS.load(data)


@given(st.integers(0, 2**32))
@settings(deadline=None)
def test_programs_stay_programs(seed: int) -> None:
    seeds = [
        "def act(x):\n    return 2 * x + 1 if x < 3 else x / 4",
        "def act(x):\n    return abs(x - 7) * 0.5",
    ]
    code = CodeVariation(seeds)
    rng = random.Random(seed)
    one, other = code.seeds(2, seed)
    for _ in range(15):
        one, _ = code.mutate(one, rng)
        other = code.cross(one, other, rng)
        compile(one, "one", "exec")
        compile(other, "other", "exec")
    assert code.load(one) == one


def test_a_difference_of_programs_shows_the_lines() -> None:
    code = CodeVariation(["x = 1"])
    assert code.describe_difference("x = 1\ny = 2", "x = 1\ny = 3").splitlines() == [
        " x = 1",
        "-y = 2",
        "+y = 3",
    ]


def _cma_proposal(wish: Wish) -> Proposed:
    """Stands in for the library: vectors that depend on everything that was told."""
    chance = random.Random(json.dumps(wish.request))
    return Proposed(genomes=tuple([chance.uniform(-5, 5) for _ in range(3)] for _ in range(6)))


def _drive_cma(engine: CmaEs, chance: random.Random, fails: float = 0.0) -> list[tuple[int, int, Outcome]]:
    log: list[tuple[int, int, Outcome]] = []
    waiting: list[tuple[Any, int]] = []
    while True:
        while (ask := engine.ask()) is not None:
            waiting.append((ask, len(log)))
        if not waiting:
            return log
        ask, after = waiting.pop(chance.randrange(len(waiting)))
        outcome: Outcome = Failed(error="no")
        if isinstance(ask, Wish):
            outcome = _cma_proposal(ask)
        elif chance.random() >= fails:
            outcome = Evaluation(scores=(-sum(one * one for one in ask.candidate.genome),))
        engine.tell(ask.number, outcome)
        log.append((ask.number, after, outcome))


def test_cma_plays_back_goes_on_from_a_snapshot_and_keeps_to_its_budget() -> None:
    engine = CmaEs(REALS, rules(budget=50), 0.3)
    log = _drive_cma(engine, random.Random(1))
    again = CmaEs(REALS, rules(budget=50), 0.3)
    replay(again, log)

    assert engine.spent == 50
    assert again.snapshot() == engine.snapshot()
    taken_up = CmaEs.restore(REALS, rules(budget=90), 0.3, json.loads(json.dumps(engine.snapshot())))
    _drive_cma(taken_up, random.Random(2))
    assert taken_up.spent == 90


def test_a_vector_that_failed_ranks_last_and_is_not_scored() -> None:
    engine = CmaEs(REALS, rules(budget=60), 0.3)
    _drive_cma(engine, random.Random(3), fails=0.3)

    assert engine.failures
    assert not {one.candidate.number for one in engine.best()} & set(engine.failures)
    assert engine.spent == 60


TEXTS = TextVariation(Space_(labels=("a", "b"), pool=tuple((at, "ab"[at % 2]) for at in range(8))))


def judged_by_length(instruction: str, example: int) -> float:
    """A longer instruction is better, more so for some examples."""
    return min(1.0, len(instruction) / (60 + 7 * (example % 5)))


def granted(wish: Wish) -> Proposed:
    genome = dict(wish.request["genome"])
    genome["instruction"] += f" Mind {len(wish.request['feedback'])}."
    return Proposed(genomes=(genome,))


def tried(trial: Trial[Any]) -> Evaluation:
    scores = tuple(judged_by_length(trial.candidate.genome.instruction, one) for one in trial.examples)
    return Evaluation(
        scores=scores,
        feedback=tuple(
            f"{one} was wrong" for one, score in zip(trial.examples, scores, strict=True) if score < 1
        ),
    )


def drive_gepa(engine: Engine[Any], chance: random.Random) -> list[tuple[int, int, Outcome]]:
    log: list[tuple[int, int, Outcome]] = []
    waiting: list[tuple[Any, int]] = []
    while True:
        while (ask := engine.ask()) is not None:
            waiting.append((ask, len(log)))
        if not waiting:
            return log
        ask, after = waiting.pop(chance.randrange(len(waiting)))
        outcome: Outcome = granted(ask) if isinstance(ask, Wish) else tried(ask)
        engine.tell(ask.number, outcome)
        log.append((ask.number, after, outcome))


def test_gepa_asked_by_playback_makes_the_candidates_that_it_makes_in_process() -> None:
    many = rules(budget=40, blocks=BLOCKS)
    engine = make_engine("gepa", TEXTS, many, None)
    drive_gepa(engine, random.Random(5))

    class AtHand:
        """Answers at once: the library as anybody would call it."""

        def __init__(self) -> None:
            self.seen: dict[str, None] = {}

        def answer(self, texts: Any, example: int) -> tuple[float, str]:
            self.seen[texts["instruction"]] = None
            score = judged_by_length(texts["instruction"], example)
            return score, f"{example} was wrong" if score < 1 else ""

        def rewritten(self, texts: Any, mistakes: tuple[str, ...]) -> str:
            return f"{texts['instruction']} Mind {len(mistakes)}." if mistakes else texts["instruction"]

    at_hand = AtHand()
    first = TEXTS.seeds(1, many.seed)[0].instruction
    examples = tuple(example for block in BLOCKS for example in block)
    gepa_replay.run(at_hand, {"instruction": first}, examples, examples, seed=many.seed, most_metric_calls=80)

    ours = list(engine.snapshot()["answers"])
    theirs = list(at_hand.seen)
    assert len(ours) >= 4
    assert ours == theirs[: len(ours)]


def test_gepa_plays_back_and_goes_on_from_a_snapshot() -> None:
    many = rules(budget=12, blocks=BLOCKS)
    engine = make_engine("gepa", TEXTS, many, None)
    log = drive_gepa(engine, random.Random(5))
    again = make_engine("gepa", TEXTS, many, None)
    replay(again, log)

    assert engine.finished
    assert engine.spent == 12
    assert again.snapshot() == engine.snapshot()
    data = json.loads(json.dumps(engine.snapshot()))
    taken_up = make_engine("gepa", TEXTS, rules(budget=60, blocks=BLOCKS), data)
    drive_gepa(taken_up, random.Random(1))
    whole = make_engine("gepa", TEXTS, rules(budget=60, blocks=BLOCKS), None)
    drive_gepa(whole, random.Random(2))
    ours, theirs = (list(one.snapshot()["numbers"]) for one in (taken_up, whole))
    assert len(ours) > len(data["numbers"])
    assert ours == theirs
