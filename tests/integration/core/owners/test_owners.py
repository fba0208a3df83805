"""Owners, their codes and their sessions, on both databases."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import Connection, select

from master.owners.accounts import (
    WrongCode,
    create_owner,
    find_password,
    get_owner,
    has_owner,
    list_owners,
    remove_owner,
    renew_digest,
    set_password,
    take_code,
    welcome_code,
)
from master.owners.reset import reset_owners
from master.owners.sessions import (
    ABSOLUTE,
    IDLE,
    end_other_sessions,
    end_session,
    end_session_of,
    find_session,
    list_sessions,
    open_session,
    touch_session,
)
from master.owners.tables import sessions
from master.store import Database
from master.store.tables import events, tokens
from master.tokens import Scope, create_token, find_principal
from tasks.errors import InvalidInput, NotFound, Refused

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
T = TypeVar("T")


def write(database: Database, function: Callable[[Connection], T]) -> T:
    with database.write() as connection:
        return function(connection)


def make(database: Database, name: str = "ana", password: str = "digest") -> None:
    write(database, lambda c: create_owner(c, name, password, invited_by="test", now=NOW))


def enter(database: Database, owner: str = "ana", now: datetime = NOW) -> str:
    return write(database, lambda c: open_session(c, owner, now=now, address="::1", agent="x", how="test"))


def test_a_code_makes_one_owner_however_many_use_it_at_once(database: Database) -> None:
    code = write(database, lambda c: welcome_code(c, by="local-owner", now=NOW))

    def become(name: str) -> bool:
        def work(connection: Connection) -> None:
            take_code(connection, code, now=NOW)
            create_owner(connection, name, "d", invited_by="x", now=NOW)

        try:
            write(database, work)
        except WrongCode:
            return False
        return True

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        done = list(pool.map(become, ["a1", "b1", "c1", "d1"]))
    assert sorted(done) == [False, False, False, True]
    with database.read() as connection:
        assert [owner.name for owner in list_owners(connection)] == [
            ["a1", "b1", "c1", "d1"][done.index(True)]
        ]


def test_a_code_is_taken_however_it_was_typed_and_for_an_hour(database: Database) -> None:
    code = write(database, lambda c: welcome_code(c, by="me", now=NOW))
    with pytest.raises(WrongCode):
        write(database, lambda c: take_code(c, code, now=NOW + timedelta(hours=1)))
    typed = f" {code.lower().replace('-', ' ').replace('0', 'o').replace('1', 'l')} "
    assert write(database, lambda c: take_code(c, typed, now=NOW)).name == "me"
    with pytest.raises(WrongCode, match="d8 admin code"):
        write(database, lambda c: take_code(c, code, now=NOW))


def test_before_there_is_an_owner_only_the_newest_code_is_good(database: Database) -> None:
    first = write(database, lambda c: welcome_code(c, by="x", now=NOW))
    second = write(database, lambda c: welcome_code(c, by="x", now=NOW))
    with pytest.raises(WrongCode):
        write(database, lambda c: take_code(c, first, now=NOW))
    write(database, lambda c: take_code(c, second, now=NOW))
    make(database)
    codes = [write(database, lambda c: welcome_code(c, by="ana", now=NOW)) for _ in range(2)]
    for code in codes:
        write(database, lambda c, code=code: take_code(c, code, now=NOW))  # type: ignore[misc]


def test_nothing_that_lets_anybody_in_is_kept(database: Database) -> None:
    code = write(database, lambda c: welcome_code(c, by="x", now=NOW))
    token = enter(database)
    with database.read() as connection:
        kept = str(connection.execute(select(tokens)).all()) + str(connection.execute(select(sessions)).all())
        kept += str(connection.execute(select(events)).all())
    assert code not in kept
    assert code.replace("-", "") not in kept
    assert token not in kept


def test_a_name_that_cannot_be_is_refused(database: Database) -> None:
    for name in ("", "Ana", "a b", "-a", "dashboard", "local-owner", "x" * 64):
        with pytest.raises(InvalidInput):
            make(database, name)
    with database.read() as connection:
        assert not has_owner(connection)


def test_a_name_belongs_to_one_owner_and_the_last_one_stays(database: Database) -> None:
    make(database)
    with pytest.raises(Refused, match="already"):
        make(database)
    with pytest.raises(Refused, match="only owner"):
        write(database, lambda c: remove_owner(c, "ana", by="ana", now=NOW))
    make(database, "luis")
    token = enter(database, "luis")
    assert write(database, lambda c: remove_owner(c, "luis", by="ana", now=NOW)) == 1
    with database.read() as connection:
        assert find_session(connection, token, now=NOW) is None
        with pytest.raises(NotFound):
            get_owner(connection, "luis")


def test_a_digest_is_renewed_unless_the_password_was_changed_meanwhile(database: Database) -> None:
    make(database, password="old")
    write(database, lambda c: set_password(c, "ana", "changed", by="ana", now=NOW))
    write(database, lambda c: renew_digest(c, "ana", "old", "old-renewed"))
    with database.read() as connection:
        assert find_password(connection, "ana") == "changed"
        assert find_password(connection, "nobody") == ""
    with pytest.raises(NotFound):
        write(database, lambda c: set_password(c, "nobody", "x", by="ana", now=NOW))


def test_a_session_ends_when_it_is_not_used_and_at_last_however_much_it_is(database: Database) -> None:
    idle, busy = enter(database), enter(database)
    moment = NOW
    while moment < NOW + ABSOLUTE - timedelta(days=2):
        moment += timedelta(days=2)
        with database.write() as connection:
            session = find_session(connection, busy, now=moment)
            assert session is not None
            assert touch_session(connection, session, now=moment)
            assert (find_session(connection, idle, now=moment) is None) == (moment - NOW >= IDLE)
    with database.read() as connection:
        assert find_session(connection, busy, now=NOW + ABSOLUTE) is None


def test_use_is_noted_at_most_every_ten_minutes(database: Database) -> None:
    token = enter(database)
    with database.write() as connection:
        session = find_session(connection, token, now=NOW)
        assert session is not None
        assert not touch_session(connection, session, now=NOW + timedelta(minutes=9))
        assert touch_session(connection, session, now=NOW + timedelta(minutes=10))


def test_one_session_all_others_or_ones_own_can_be_ended(database: Database) -> None:
    mine, phone, luis = enter(database), enter(database), enter(database, "luis")

    def ids() -> dict[str, str]:
        with database.read() as connection:
            found = {token: find_session(connection, token, now=NOW) for token in (mine, phone, luis)}
            return {token: session.id for token, session in found.items() if session}

    known = ids()
    assert write(database, lambda c: end_other_sessions(c, known[mine], owner="ana", by="ana", now=NOW)) == 1
    assert set(ids()) == {mine, luis}
    write(database, lambda c: end_session(c, known[luis], by="ana", now=NOW))
    assert set(ids()) == {mine}
    for wrong in (known[luis], "", "%", known[mine][:8], "_" * 16):
        with pytest.raises(NotFound):
            write(database, lambda c, wrong=wrong: end_session(c, wrong, by="ana", now=NOW))  # type: ignore[misc]
    assert write(database, lambda c: end_session_of(c, mine))
    assert ids() == {}


def test_a_reset_lets_nobody_in_and_keeps_names_workers_and_scrapers(
    database: Database, tmp_path: Path
) -> None:
    make(database, password="digest")
    enter(database)
    code = write(database, lambda c: welcome_code(c, by="ana", now=NOW))
    worker = write(database, lambda c: create_token(c, Scope.WORKER, "w", now=NOW))
    scraper = write(database, lambda c: create_token(c, Scope.METRICS, "p", now=NOW))
    write(database, lambda c: create_token(c, Scope.OWNER, "script", now=NOW))
    done = write(database, lambda c: reset_owners(c, tmp_path / "secrets" / "owner.token", now=NOW))
    assert (done.tokens, done.sessions, done.passwords) == (2, 1, 1)
    with database.read() as connection:
        assert list_sessions(connection, now=NOW) == []
        assert [(owner.name, owner.has_password) for owner in list_owners(connection)] == [("ana", False)]
        assert find_principal(connection, worker, now=NOW) is not None
        assert find_principal(connection, scraper, now=NOW) is not None
    with pytest.raises(WrongCode):
        write(database, lambda c: take_code(c, code, now=NOW))
