"""GEPA behind asks and tells."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from master.darwin.engines import gepa_replay
from master.darwin.engines.choose import make_engine
from master.darwin.engines.protocol import Engine, Evaluation, Proposed, Trial, Wish
from master.darwin.engines.replay import replay
from master.darwin.genome import Space as Space_
from master.darwin.variation import TextVariation
from tests.unit.darwin.engines.driving import BLOCKS, Log, drive, rules

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


def drive_gepa(engine: Engine[Any], chance: random.Random) -> Log:
    """All that may be asked is open at once."""
    return drive(engine, tried, chance, grant=granted, parallel=10_000)


@pytest.mark.parametrize("proposals", [1, 4])
def test_gepa_asked_by_playback_makes_the_candidates_that_it_makes_in_process(proposals: int) -> None:
    many = rules(budget=40 * proposals, blocks=BLOCKS, proposals=proposals)
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
    gepa_replay.run(
        at_hand,
        {"instruction": first},
        examples,
        examples,
        seed=many.seed,
        most_metric_calls=80 * proposals,
        proposals=proposals,
    )

    ours = list(engine.snapshot()["numbers"])
    theirs = list(at_hand.seen)
    assert len(ours) >= 4
    assert ours == theirs[: len(ours)]


def test_rewritings_of_a_round_are_asked_for_at_once() -> None:
    blocks = tuple(tuple(range(at, at + 3)) for at in range(0, 24, 3))
    engine = make_engine("gepa", TEXTS, rules(budget=200, blocks=blocks, proposals=4), None)
    most = 0
    while asks := [ask for _ in range(50) if (ask := engine.ask()) is not None]:
        wishes = [ask for ask in asks if isinstance(ask, Wish)]
        most = max(most, len(wishes))
        assert len({str(wish.request) for wish in wishes}) == len(wishes), "nothing is asked for twice"
        for ask in asks:
            engine.tell(ask.number, granted(ask) if isinstance(ask, Wish) else tried(ask))
    assert most == 4


@pytest.mark.parametrize("proposals", [1, 4])
def test_gepa_plays_back_and_goes_on_from_a_snapshot(proposals: int) -> None:
    many = rules(budget=12, blocks=BLOCKS, proposals=proposals)
    engine = make_engine("gepa", TEXTS, many, None)
    log = drive_gepa(engine, random.Random(5))
    again = make_engine("gepa", TEXTS, many, None)
    replay(again, log)

    assert engine.finished
    assert engine.spent == 12
    assert again.snapshot() == engine.snapshot()
    data = json.loads(json.dumps(engine.snapshot()))
    taken_up = make_engine("gepa", TEXTS, rules(budget=60, blocks=BLOCKS, proposals=proposals), data)
    drive_gepa(taken_up, random.Random(1))
    whole = make_engine("gepa", TEXTS, rules(budget=60, blocks=BLOCKS, proposals=proposals), None)
    drive_gepa(whole, random.Random(2))
    ours, theirs = (list(one.snapshot()["numbers"]) for one in (taken_up, whole))
    assert len(ours) > len(data["numbers"])
    assert ours == theirs
