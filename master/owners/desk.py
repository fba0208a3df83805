"""Where owners are let in: by password or by code, with what it costs to guess."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from sqlalchemy import Connection

from master.clock import Clock
from master.events import record_event
from master.owners.accounts import (
    WrongCode,
    check_name,
    create_owner,
    find_password,
    get_owner,
    list_owners,
    renew_digest,
    set_password,
    take_code,
)
from master.owners.limits import LoginLimits
from master.owners.passwords import PasswordBench, check_new_password
from master.owners.sessions import TERMINAL, end_other_sessions, end_session_of, open_session
from master.tokens import DASHBOARD, Principal, Scope, find_principal, use_token_once
from tasks.errors import Refused
from tasks.record import Record


class Visitor(Record):
    """A browser that wants in."""

    address: str
    #: What it says it is.
    agent: str
    #: The token of the session that it has already; "" for none. A new one takes its place.
    token: str = ""


class WrongLogin(Refused):
    """It is not said which of name and password is wrong."""


class Read(Protocol):
    def __call__(self, function: Callable[[Connection], Any]) -> Awaitable[Any]: ...


class Write(Protocol):
    def __call__(self, function: Callable[[Connection], Any], *, durable: bool = True) -> Awaitable[Any]: ...


class Desk:
    """One for a process: it counts failures, and how many passwords are checked at a time."""

    def __init__(self, read: Read, write: Write, clock: Clock) -> None:
        self._read, self._write, self._clock = read, write, clock
        self.limits = LoginLimits()
        self._bench = PasswordBench()

    async def log_in(self, name: str, password: str, visitor: Visitor) -> str:
        """A new session's token. ``WrongLogin``; ``TooMany``."""
        name = name.strip().lower()
        self.limits.begin(name, visitor.address)
        digest = await self._read(lambda connection: find_password(connection, name))
        if not await self._bench.check(digest, password):
            known = await self._read(lambda connection: any(o.name == name for o in list_owners(connection)))
            # A name that is not known is not kept: people type their password there.
            await self._note(visitor, owner=name if known else "", why="password")
            raise WrongLogin("this name and this password do not belong together: try again")
        self.limits.succeed(name, visitor.address)
        renewed = await self._bench.digest(password) if self._bench.is_outdated(digest) else ""

        def open_(connection: Connection) -> str:
            if renewed:
                renew_digest(connection, name, digest, renewed)
            return self._open(connection, name, visitor, how="password")

        return str(await self._write(open_))

    async def welcome(self, code: str, name: str, password: str, visitor: Visitor) -> str:
        """Become an owner with a one-time code; the new session's token. The code is used up only when all
        else is right. ``InvalidInput``, ``Refused``, ``TooMany``."""
        name = check_name(name.strip().lower())
        password = check_new_password(password, name)
        account = f"code from {visitor.address}"
        self.limits.check(account, visitor.address)
        digest = await self._bench.digest(password)

        def become(connection: Connection) -> str:
            now = self._clock()
            invited_by = take_code(connection, code, now=now).name
            create_owner(connection, name, digest, invited_by=invited_by, now=now)
            return self._open(connection, name, visitor, how="welcome")

        try:
            return str(await self._write(become))
        except WrongCode:
            await self._fail(account, visitor, owner="", why="code")
            raise

    async def use_code(self, code: str, visitor: Visitor) -> str | None:
        """A session for a code of ``d8 dashboard``, else None. ``TooMany``."""
        account = f"code from {visitor.address}"
        self.limits.check(account, visitor.address)

        def exchange(connection: Connection) -> str | None:
            now = self._clock()
            # Only a code is used up: the lasting token of the command line, pasted here by mistake, stays.
            holder = find_principal(connection, code, now=now)
            if holder is None or (holder.scope, holder.name) != (Scope.OWNER, DASHBOARD):
                return None
            if use_token_once(connection, code, Scope.OWNER, now=now) is None:
                return None
            owners = list_owners(connection)
            # Whoever has the terminal is the owner, when there is only one.
            owner = owners[0].name if len(owners) == 1 else TERMINAL
            return self._open(connection, owner, visitor, how="code")

        token: str | None = await self._write(exchange)
        if token is None:
            await self._fail(account, visitor, owner="", why="code")
        return token

    async def change_password(self, name: str, before: str, password: str, caller: Principal) -> int:
        """Set an owner's password and end their other sessions; returns how many. An owner says the one
        that holds now, unless there is none; whoever has the terminal's token need not."""
        password = check_new_password(password, name)
        await self._read(lambda connection: get_owner(connection, name))
        known = await self._read(lambda connection: find_password(connection, name))
        if caller.owner and caller.owner != name:
            raise Refused(
                f"this is the password of {name!r}: only they, or a link from the terminal, change it"
            )
        if caller.owner and known:
            account = f"change {name}"
            self.limits.begin(account, account)
            if not await self._bench.check(known, before):
                await self._note(Visitor(address="", agent=""), owner=name, why="password change")
                raise WrongLogin("the password that you have now is another one: nothing was changed")
            self.limits.succeed(account, account)
        digest = await self._bench.digest(password)

        def change(connection: Connection) -> int:
            now = self._clock()
            set_password(connection, name, digest, by=caller.name, now=now)
            return end_other_sessions(connection, caller.session, owner=name, by=caller.name, now=now)

        return int(await self._write(change))

    def _open(self, connection: Connection, owner: str, visitor: Visitor, *, how: str) -> str:
        if visitor.token:
            end_session_of(connection, visitor.token)
        return open_session(
            connection, owner, now=self._clock(), address=visitor.address, agent=visitor.agent, how=how
        )

    async def _fail(self, account: str, visitor: Visitor, *, owner: str, why: str) -> None:
        self.limits.fail(account, visitor.address)
        await self._note(visitor, owner=owner, why=why)

    async def _note(self, visitor: Visitor, *, owner: str, why: str) -> None:
        now = self._clock()
        address = visitor.address[:64]
        await self._write(
            lambda connection: record_event(
                connection, "login_failed", now, owner=owner, why=why, address=address
            )
        )
