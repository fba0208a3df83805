"""Which passwords are taken, and what is kept of them."""

from __future__ import annotations

import asyncio

import pytest

from master.owners.common import COMMON
from master.owners.limits import TooMany
from master.owners.passwords import (
    LONGEST,
    NOBODYS,
    SHORTEST,
    PasswordBench,
    WeakPassword,
    check_new_password,
)

GOOD = "correct horse staple"


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("short", "short"),
        ("x" * (LONGEST + 1), "long"),
        ("password123", "common"),
        ("CONTRASEÑA123", "common"),
        ("aaaabbbbaaaa", "common"),
        ("antonia-antonia", "name"),
    ],
)
def test_a_password_that_is_guessed_soon_is_refused_and_not_repeated(password: str, why: str) -> None:
    with pytest.raises(WeakPassword) as told:
        check_new_password(password, "antonia")
    assert told.value.why == why
    assert password not in str(told.value)


def test_a_password_is_the_same_however_the_keyboard_wrote_its_accents() -> None:
    assert check_new_password("man\u0303ana temprano", "ana") == check_new_password("mañana temprano", "ana")


def test_every_common_password_is_one_that_we_would_have_taken() -> None:
    assert len(COMMON) > 100
    assert {word for word in COMMON if len(word) < SHORTEST or word != word.casefold()} == set()


def test_a_digest_is_argon2id_with_todays_parameters_and_a_salt_of_its_own() -> None:
    async def play() -> None:
        bench = PasswordBench()
        first, second = await bench.digest(GOOD), await bench.digest(GOOD)
        assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
        assert first != second
        assert await bench.check(first, GOOD)
        assert not await bench.check(first, GOOD + "!")
        assert not bench.is_outdated(first)
        assert bench.is_outdated("$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$PCp5nTLyhcE6RZ7OkdEkOQ")

    asyncio.run(play())


def test_a_name_that_nobody_has_costs_the_same_work() -> None:
    async def play() -> None:
        bench = PasswordBench()
        assert not await bench.check("", GOOD)
        # The same parameters as a real one's: the same memory and passes are spent on it.
        assert not bench.is_outdated(NOBODYS)
        assert not await bench.check(NOBODYS, GOOD)

    asyncio.run(play())


def test_a_crowd_is_told_to_come_back_and_few_are_checked_at_a_time() -> None:
    async def play() -> list[object]:
        bench = PasswordBench()
        return await asyncio.gather(*(bench.check("", GOOD) for _ in range(24)), return_exceptions=True)

    answers = asyncio.run(play())
    assert answers.count(False) == 16
    assert sum(isinstance(answer, TooMany) for answer in answers) == 8
