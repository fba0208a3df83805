"""Answers in this process: so many bytes, and no more."""

from __future__ import annotations

import threading

from worker.models.kept.forms import EMBED, GENERATE, SCORE
from worker.models.kept.memory import AnswerMemory
from worker.models.protocol import Generated, Scored


def test_the_least_recently_wanted_goes_first() -> None:
    memory = AnswerMemory(300)
    for key in "abc":
        memory.keep(key, key.upper(), 100)
    memory.find("a")

    memory.keep("d", "D", 100)

    assert [memory.find(key) for key in "abcd"] == ["A", None, "C", "D"]


def test_it_never_holds_more_bytes_than_it_may() -> None:
    memory = AnswerMemory(250)
    for number in range(100):
        memory.keep(str(number), number, 1 + number % 90)
        assert memory.bytes <= 250

    assert memory.find("99") == 99


def test_an_answer_larger_than_all_there_is_drops_nothing() -> None:
    memory = AnswerMemory(250)
    memory.keep("small", 1, 200)

    memory.keep("huge", 2, 251)

    assert (memory.find("small"), memory.find("huge")) == (1, None)


def test_an_answer_kept_again_counts_once() -> None:
    memory = AnswerMemory(250)
    memory.keep("a", 1, 100)
    memory.keep("a", 1, 120)

    assert memory.bytes == 120


def test_cleared_it_holds_nothing() -> None:
    memory = AnswerMemory(250)
    memory.keep("a", 1, 100)

    memory.clear()

    assert (memory.bytes, memory.find("a")) == (0, None)


def test_many_threads_leave_its_count_right() -> None:
    memory = AnswerMemory(5000)

    def work(name: int) -> None:
        for number in range(500):
            memory.keep(f"{name}-{number % 40}", number, 10)
            memory.find(f"{number % 7}-{number % 40}")

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert memory.bytes == 10 * 8 * 40


def test_larger_answers_count_for_more() -> None:
    short, long = (Generated(text="x" * size, tokens=1, finish="stop") for size in (1, 5000))
    few, many = (Scored(logprobs=(-1.0,) * size, tokens=(1,) * size) for size in (2, 200))

    assert GENERATE.bytes_of(long) - GENERATE.bytes_of(short) == 4999
    assert SCORE.bytes_of(many) > SCORE.bytes_of(few) > 0
    assert EMBED.bytes_of((0.0,) * 384) > 384 * 24
