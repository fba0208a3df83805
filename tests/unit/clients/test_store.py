"""Clients on the list: added once, taken once, moved only as the table allows."""

from __future__ import annotations

import datetime
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, insert

from master.clients.naming import project_id
from master.clients.states import MOVES, ClientState, check_move
from master.clients.store import add_client, get_brief, get_client, list_clients, move_client, resume_client
from master.clients.watch import close_orphans, take_pending
from master.store import Database
from master.store.tables import runs
from tasks.client_brief import Brief
from tasks.errors import MoveNotAllowed, NotFound


class Runs:
    """Starts runs as the engine does: one for each idempotency key."""

    def __init__(self) -> None:
        self.started: dict[str, dict[str, Any]] = {}

    def __call__(
        self, connection: Connection, flow: str, params: dict[str, Any], *, idempotency_key: str
    ) -> str:
        assert idempotency_key not in self.started, "started twice"
        self.started[idempotency_key] = {"flow": flow, "params": params}
        return f"run-{len(self.started)}"


@given(st.text(max_size=120))
def test_a_project_id_is_a_safe_folder_name_whatever_the_name(name: str) -> None:
    identity = project_id(name, "ab" * 32, 1)
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", identity)
    assert identity == project_id(name, "ab" * 32, 1)
    assert identity != project_id(name, "ab" * 32, 2)


def test_a_project_id_reads_like_the_name() -> None:
    assert project_id("Panadería Ñandú & Cía.", "00" * 32, 1).startswith("panaderia-nandu-cia-")


def test_only_the_moves_of_the_table_are_allowed() -> None:
    for old in ClientState:
        for new in ClientState:
            if new in MOVES[old]:
                check_move("x", old, new)
            else:
                with pytest.raises(MoveNotAllowed, match=f"client x is {old} and cannot become {new}"):
                    check_move("x", old, new)


def test_the_same_brief_twice_is_one_client_unless_again(
    database: Database, brief: Brief, now: datetime.datetime
) -> None:
    with database.write() as connection:
        first = add_client(connection, brief, now, source="brief.yaml")
        second = add_client(connection, brief, now)
        third = add_client(connection, brief, now, again=True)
    assert first.new
    assert (second.new, second.client.id) == (False, first.client.id)
    assert third.new
    assert third.client.id != first.client.id
    with database.read() as connection:
        assert len(list_clients(connection)) == 2
        assert get_brief(connection, third.client.id) == brief
        with pytest.raises(NotFound, match="several clients"):
            get_client(connection, "panaderia")
        assert get_client(connection, first.client.id[:-2]).id == first.client.id
        with pytest.raises(NotFound, match="no client has the id"):
            get_client(connection, "%")


def test_a_pending_client_is_taken_exactly_once(
    database: Database, brief: Brief, now: datetime.datetime
) -> None:
    start = Runs()
    with database.write() as connection:
        client = add_client(connection, brief, now).client
        assert client.state is ClientState.PENDING
        assert take_pending(connection, start, now=now) == [client.id]
    with database.write() as connection:
        assert take_pending(connection, start, now=now) == []
        taken = get_client(connection, client.id)
    assert (taken.state, taken.run_id, taken.started_at) == (ClientState.IN_PROGRESS, "run-1", now)
    assert start.started == {f"client:{client.id}": {"flow": "client", "params": {"client_id": client.id}}}


def test_a_client_stays_pending_when_its_run_cannot_be_created(
    database: Database, brief: Brief, now: datetime.datetime
) -> None:
    def refuse(*_: Any, **__: Any) -> str:
        raise RuntimeError("no")

    with database.write() as connection:
        client = add_client(connection, brief, now).client
    with pytest.raises(RuntimeError), database.write() as connection:
        take_pending(connection, refuse, now=now)
    with database.read() as connection:
        assert get_client(connection, client.id).state is ClientState.PENDING


def test_a_repeated_move_changes_nothing_and_a_forbidden_one_raises(
    database: Database, brief: Brief, now: datetime.datetime
) -> None:
    later = now + datetime.timedelta(hours=1)
    with database.write() as connection:
        client = add_client(connection, brief, now).client
        with pytest.raises(MoveNotAllowed):
            move_client(connection, client.id, ClientState.COMPLETED, now)
        take_pending(connection, Runs(), now=now)
        move_client(connection, client.id, ClientState.COMPLETED, now, note="yes", folder="/out/x")
        move_client(connection, client.id, ClientState.COMPLETED, later, note="again")
        done = get_client(connection, client.id)
        assert (done.note, done.folder, done.finished_at) == ("yes", "/out/x", now)
        with pytest.raises(MoveNotAllowed):
            move_client(connection, client.id, ClientState.FAILED, now)


@pytest.mark.parametrize(("run_state", "closed"), [("cancelled", True), ("failed", True), ("waiting", False)])
def test_a_client_whose_run_was_ended_from_outside_fails_with_the_reason(
    database: Database, brief: Brief, now: datetime.datetime, run_state: str, closed: bool
) -> None:
    with database.write() as connection:
        client = add_client(connection, brief, now).client
        take_pending(connection, Runs(), now=now)
        ended = {"id": "run-1", "flow": "client", "params": {}, "state": run_state, "error": "by ana"}
        connection.execute(insert(runs).values(**ended, woken_at=now, created_at=now))
        assert close_orphans(connection, now=now) == ([client.id] if closed else [])
        after = get_client(connection, client.id)
    assert after.state is (ClientState.FAILED if closed else ClientState.IN_PROGRESS)
    assert ("by ana" in after.note) is closed


def test_a_failed_client_goes_on_when_its_run_is_retried(
    database: Database, brief: Brief, now: datetime.datetime
) -> None:
    with database.write() as connection:
        client = add_client(connection, brief, now).client
        take_pending(connection, Runs(), now=now)
        move_client(connection, client.id, ClientState.FAILED, now, note="no worker")
        resume_client(connection, client.id, now)
        assert get_client(connection, client.id).state is ClientState.IN_PROGRESS
