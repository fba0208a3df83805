"""Answers that servers share: lifetimes, limits, trouble, and values that others wrote."""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Iterator

import pytest

from tasks.errors import InvalidInput
from tests.unit.models.kept_parts import ANSWERER, Clock, DictClient, House, choice, text
from worker.models.kept.keys import Keys
from worker.models.kept.shared import (
    LIFETIME_S,
    MAX_VALUE_BYTES,
    PAUSE_S,
    PREFIX,
    Share,
    SharedAnswers,
    connect,
    pack,
    unpack,
)
from worker.models.protocol import Usage

KEY = Keys(ANSWERER).of("score", choice("p"))


class Shared:
    def __init__(self, share_bytes: int = 2**20) -> None:
        self.client = DictClient()
        self.clock = Clock()
        self.answers = SharedAnswers(self.client, "somewhere:6379", share_bytes=share_bytes, clock=self.clock)

    def put(self, **values: bytes) -> None:
        self.answers.put_many_later(lambda: values)
        self.written()

    def written(self) -> None:
        """Wait until all is written that was put."""
        self.answers._writer.submit(lambda: None).result(timeout=10)


@pytest.fixture
def shared() -> Iterator[Shared]:
    one = Shared()
    yield one
    one.answers.close()


def test_what_one_server_computed_another_one_finds(shared: Shared) -> None:
    one, other = (House(shared=shared.answers) for _ in range(2))
    first = one.kept.score([choice("p")])
    one.inner.finish()
    shared.written()

    again = other.kept.score([choice("p")]).result(timeout=0)

    assert again.results == first.result(timeout=0).results
    assert again.usage == Usage(kept=1)
    assert list(shared.client.values) == [PREFIX + KEY]
    assert shared.client.lifetimes_s == [LIFETIME_S] == [3600]


def test_what_was_found_there_is_kept_here(shared: Shared) -> None:
    one, other = (House(shared=shared.answers) for _ in range(2))
    one.kept.score([choice("p")])
    one.inner.finish()
    shared.written()
    other.kept.score([choice("p")])
    calls = shared.client.calls

    other.kept.score([choice("p")]).result(timeout=0)

    assert shared.client.calls == calls


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"no JSON",
        b"x no zlib either",
        zlib.compress(b"{}")[:-2],
        b'{"logprobs": [-1.0], "tokens": [1]}',
        b'{"logprobs": [-1.0, NaN], "tokens": [1, 1]}',
        b'{"logprobs": [-1.0, "-2"], "tokens": [1, 1]}',
        b'{"logprobs": [-1.0, -2.0], "tokens": [1, 1], "more": 1}',
        b'{"text": "t", "tokens": 1, "finish": "stop"}',
        zlib.compress(b" " * 2**22),
    ],
)
def test_a_value_that_is_no_answer_to_the_question_is_a_miss(shared: Shared, value: bytes) -> None:
    house = House(shared=shared.answers)
    shared.client.values[PREFIX + KEY] = value

    reply = house.kept.score([choice("p")])
    house.inner.finish()

    assert reply.result(timeout=0).usage.kept == 0


@pytest.mark.parametrize(
    "answer",
    [
        {"text": "t", "tokens": 65, "finish": "stop"},
        {"text": "t", "tokens": -1, "finish": "stop"},
        {"text": "t", "tokens": 1, "finish": "soon"},
    ],
)
def test_a_text_that_the_question_rules_out_is_a_miss(shared: Shared, answer: dict[str, object]) -> None:
    house = House(shared=shared.answers)
    key = Keys(ANSWERER).of("generate", text("p"))
    shared.client.values[PREFIX + key] = json.dumps(answer).encode()

    assert not house.kept.generate([text("p")]).done()


@pytest.mark.parametrize("vector", [[], [0.5, 0.5], ["1"], [1e400]])
def test_a_vector_of_another_length_than_one_is_a_miss(shared: Shared, vector: list[float]) -> None:
    house = House(shared=shared.answers)
    shared.client.values[PREFIX + Keys(ANSWERER).of("embed", "p")] = json.dumps(vector).encode()

    assert not house.kept.embed(["p"]).done()


def test_large_values_are_compressed_and_read_again() -> None:
    small, large = b'{"a": 1}', b'{"text": "' + b"word " * 1000 + b'"}'

    assert pack(small) == small
    assert len(pack(large)) < len(large) / 10
    assert unpack(pack(large)) == large


def test_a_value_that_is_too_large_is_not_shared(shared: Shared) -> None:
    shared.put(large=bytes(range(32, 127)) * (MAX_VALUE_BYTES // 2), small=b"{}")
    huge = b"{" * (MAX_VALUE_BYTES + 1)

    assert PREFIX + "small" in shared.client.values
    assert unpack(huge) is None


def test_a_server_has_no_more_there_than_its_share() -> None:
    shared = Shared(share_bytes=1000)
    shared.put(**{f"k{number}": b"v" * 300 for number in range(5)})
    assert len(shared.client.values) == 2

    shared.clock.now_s += LIFETIME_S + 120
    shared.put(later=b"v" * 300)

    assert len(shared.client.values) == 3
    shared.answers.close()


def test_a_share_is_counted_by_the_minute_and_comes_back_after_an_hour() -> None:
    clock = Clock()
    share = Share(100, clock)
    taken = []
    for _ in range(4):
        taken.append(share.take(40))
        clock.now_s += 60

    assert taken == [True, True, False, False]
    clock.now_s += LIFETIME_S - 180
    assert share.take(40)
    assert not share.take(40)


def test_trouble_is_a_miss_told_once_and_not_tried_again_for_a_while(
    shared: Shared, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    shared.client.broken = True
    house = House(shared=shared.answers)

    for number in range(5):
        reply = house.kept.score([choice(f"p{number}")])
        house.inner.finish()
        assert reply.result(timeout=0).usage.kept == 0
    shared.written()
    assert shared.client.calls == 1

    shared.clock.now_s += PAUSE_S
    house.kept.score([choice("p9")])
    assert shared.client.calls == 2
    assert [record.message.split()[0] for record in caplog.records] == ["kept_answers_not_shared"]
    assert "somewhere:6379" in caplog.text


def test_after_its_trouble_it_is_used_again(shared: Shared) -> None:
    shared.client.broken = True
    assert shared.answers.get_many(["a"]) == {}
    shared.client.broken = False
    shared.put(a=b"{}")
    assert shared.client.values == {}

    shared.clock.now_s += PAUSE_S
    shared.put(a=b"{}")

    assert shared.answers.get_many(["a"]) == {"a": b"{}"}


@pytest.mark.parametrize(
    "url",
    ["http://:hush@host/0", "redis://:hu/sh@host:6379/0", "redis://", "hush", "rediss://:hush@h:port/0"],
)
def test_an_address_that_is_none_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(InvalidInput, match="D8_CACHE_URL") as refused:
        connect(url)

    assert "hu" not in str(refused.value).replace("rediss", "")
    assert refused.value.__cause__ is None


def test_an_address_is_not_called_before_it_is_needed() -> None:
    answers = connect("rediss://:hush@nowhere.invalid:6380/1")

    assert answers._where == "nowhere.invalid:6380"
    answers.close()
