"""Wishes: granted, or granted with something that is no genome."""

from __future__ import annotations

from master.darwin.engines.choose import make_engine
from master.darwin.engines.protocol import Evaluation, Proposed, Wish
from tests.unit.darwin.engines.driving import BITS, rules


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
