"""A backend whose answers are kept: what is computed, for whom, and how often."""

from __future__ import annotations

import dataclasses
from concurrent.futures import CancelledError

import pytest

from tasks.errors import PermanentFailure
from tests.unit.models.kept_parts import ANSWERER, House, choice, text
from worker.models.fake import FakeBackend
from worker.models.kept.backend import KeptBackend
from worker.models.kept.store import AnswerStore
from worker.models.outcomes import Expired, Failed, Outcome, Rejected
from worker.models.protocol import Usage

BROKEN = Failed(outcome=Outcome.FAILED, transient=True, message="out of memory")


def test_an_equal_question_is_answered_without_computing_and_says_so() -> None:
    house = House()
    first = house.kept.generate([text("one two", priority=3)])
    house.inner.finish()

    again = house.kept.generate([text("one two", deadline_s=9)]).result(timeout=0)

    assert again.results == first.result(timeout=0).results
    assert first.result(timeout=0).usage == Usage(prompt_tokens=1)
    assert again.usage == Usage(kept=1)
    assert len(house.inner.asked) == 1
    assert house.ends() == {"done": 2, "kept": 1}


def test_answers_come_in_the_items_order_whether_kept_or_computed() -> None:
    house = House()
    items = [choice(f"prompt {number}") for number in range(6)]
    house.kept.score([items[4], items[1]])
    house.inner.finish()

    reply = house.kept.score(items)
    house.inner.finish()

    assert reply.result(timeout=0).results == FakeBackend().score(items).result().results
    assert house.inner.calls[1] == [items[0], items[2], items[3], items[5]]
    assert reply.result(timeout=0).usage == Usage(prompt_tokens=4, kept=2)


def test_vectors_are_kept_too() -> None:
    house = House()
    house.kept.embed(["a", "b"])
    house.inner.finish()

    again = house.kept.embed(["b", "a"]).result(timeout=0)

    assert again.vectors == FakeBackend().embed(["b", "a"]).result().vectors
    assert again.usage == Usage(kept=2)


def test_equal_items_of_one_message_are_asked_once() -> None:
    house = House()
    reply = house.kept.score([choice("p"), choice("q"), choice("p"), choice("p")])
    house.inner.finish()

    results = reply.result(timeout=0).results
    assert house.inner.asked == [choice("p"), choice("q")]
    assert results[0] == results[2] == results[3] != results[1]
    assert reply.result(timeout=0).usage.kept == 2
    assert house.ends() == {"done": 4, "kept": 2}


def test_what_is_computed_for_one_client_is_not_computed_for_another() -> None:
    house = House()
    first, second = house.kept.generate([text("p")]), house.kept.generate([text("p")])
    assert not second.done()

    house.inner.finish()

    assert len(house.inner.asked) == 1
    assert first.result(timeout=0).results == second.result(timeout=0).results
    assert (first.result().usage.kept, second.result().usage.kept) == (0, 1)


def test_fresh_neither_reads_nor_writes_nor_joins() -> None:
    house = House()
    house.kept.score([choice("p")])
    house.inner.finish()

    house.kept.score([choice("p", fresh=True), choice("p", fresh=True), choice("p")])
    house.kept.score([choice("q", fresh=True)])
    house.inner.finish()
    house.kept.score([choice("q")])

    assert [item.prompt for item in house.inner.asked] == ["p", "p", "p", "q", "q"]


def test_failures_are_told_to_all_who_wait_and_never_kept() -> None:
    house = House()
    both = [house.kept.generate([text("p")]) for _ in range(2)]
    house.inner.finish({0: BROKEN})

    third = house.kept.generate([text("p")])
    house.inner.finish()

    assert [one.result(timeout=0).results for one in both] == [(BROKEN,)] * 2
    assert [one.result().usage.kept for one in both] == [0, 0]
    assert not isinstance(third.result(timeout=0).results[0], Failed)
    assert house.ends() == {"failed": 2, "done": 1}


def test_a_failed_item_leaves_the_others_of_its_message_kept() -> None:
    house = House()
    house.kept.generate([text("bad"), text("good")])
    house.inner.finish({0: BROKEN})

    house.kept.generate([text("good"), text("bad")])

    assert house.inner.calls[1] == [text("bad")]


def test_what_is_refused_at_once_is_raised_and_forgotten() -> None:
    house = House()
    house.inner.refuses = Rejected("this model embeds sentences")
    with pytest.raises(Rejected, match="embeds sentences"):
        house.kept.generate([text("p")])

    house.inner.refuses = None
    reply = house.kept.generate([text("p")])
    house.inner.finish()

    assert reply.result(timeout=0).usage.kept == 0


def test_an_embedding_that_fails_fails_its_message() -> None:
    house = House()
    reply = house.kept.embed(["a"])
    house.inner.finish({0: Failed(outcome=Outcome.FAILED, transient=False, message="too long")})

    with pytest.raises(PermanentFailure):
        reply.result(timeout=0)


def test_one_client_that_goes_does_not_take_the_answer_from_the_other() -> None:
    house = House()
    first, second = house.kept.generate([text("p")]), house.kept.generate([text("p")])

    first.cancel()
    assert house.inner.given_up == [False]
    house.inner.finish()

    assert second.result(timeout=0).usage == Usage(prompt_tokens=1)
    assert house.ends() == {"done": 1, "cancelled": 1}


def test_the_one_who_joined_may_go_as_well() -> None:
    house = House()
    first, second = house.kept.generate([text("p")]), house.kept.generate([text("p")])

    second.cancel()
    house.inner.finish()

    assert first.result(timeout=0).usage.kept == 0
    assert house.ends() == {"done": 1, "cancelled": 1}


def test_when_all_have_gone_the_computation_is_given_up_and_nothing_joins_it() -> None:
    house = House()
    replies = [house.kept.generate([text("p"), text("p")]), house.kept.generate([text("p")])]
    for reply in replies:
        reply.cancel()
    assert house.inner.given_up == [True]

    late = house.kept.generate([text("p")])
    house.inner.finish()

    assert late.result(timeout=0).usage.kept == 0
    assert house.ends() == {"cancelled": 3, "done": 1}
    with pytest.raises(CancelledError):
        replies[0].result(timeout=0)


def test_a_call_goes_on_while_somebody_waits_for_any_of_it() -> None:
    house = House()
    first = house.kept.score([choice("p"), choice("q")])
    second = house.kept.score([choice("q")])

    first.cancel()
    house.inner.finish()

    assert second.done()
    assert house.kept.score([choice("p")]).result(timeout=0).usage.kept == 1


def test_nobody_waits_for_what_another_ones_deadline_may_end() -> None:
    house = House()
    hurried = house.kept.generate([text("p", deadline_s=1), text("p", deadline_s=1)])
    patient = house.kept.generate([text("p")])
    third = house.kept.generate([text("p")])

    assert [len(call) for call in house.inner.calls] == [1, 1]
    expired = Failed(outcome=Outcome.EXPIRED, transient=True, message=str(Expired("late")))
    house.inner.finish({0: expired})
    assert all(one.done() for one in (hurried, patient, third))


def test_what_is_urgent_does_not_wait_for_what_is_not() -> None:
    house = House()
    house.kept.generate([text("p", priority=-10)])
    house.kept.generate([text("p", priority=5)])
    house.kept.generate([text("p", priority=0)])

    assert [item.priority for item in house.inner.asked] == [-10, 5]


def test_who_listens_hears_a_kept_text_as_one_part() -> None:
    house = House()
    house.kept.generate([text("one two three")])
    house.inner.finish()
    heard: list[tuple[int, str]] = []

    reply = house.kept.generate([text("one two three")], lambda *part: heard.append(part))

    assert heard == [(0, "one two three")]
    assert reply.result(timeout=0).usage.kept == 1


def test_who_listens_late_hears_all_that_was_told_before() -> None:
    house = House()
    early: list[tuple[int, str]] = []
    late: list[tuple[int, str]] = []
    house.kept.generate([text("one two three")], lambda *part: early.append(part))
    house.inner.tell("one ")
    house.inner.tell("two ")
    house.kept.generate([text("zero"), text("one two three")], lambda *part: late.append(part))
    house.inner._unfinished.reverse()
    house.inner.tell("three")

    assert early == [(0, "one "), (0, "two "), (0, "three")]
    assert late == [(1, "one two "), (1, "three")]


def test_who_listens_does_not_join_a_text_that_nobody_hears() -> None:
    house = House()
    house.kept.generate([text("p")])

    house.kept.generate([text("p")], lambda *_: None)
    house.kept.generate([text("p")])

    assert len(house.inner.calls) == 2


def test_another_answerer_does_not_get_these_answers() -> None:
    house = House()
    other = KeptBackend(
        house.inner,
        dataclasses.replace(ANSWERER, sha256="b" * 64),
        AnswerStore(house.memory),
        house.counters,
    )
    house.kept.score([choice("p")])
    house.inner.finish()

    assert not other.score([choice("p")]).done()
    assert house.kept.score([choice("p")]).done()
