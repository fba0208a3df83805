"""The owners' accounts, their sessions at the dashboard, and their rules."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from pydantic import Field
from sqlalchemy import Connection

from master.api.answers import Answer
from master.api.auth import Gatekeeper
from master.api.once import Once, once_of
from master.api.paging import Page, Paging
from master.api.services import Services
from master.approvals import Policy
from master.approvals.policy_edit import change_policy, read_text
from master.events import record_event
from master.owners.accounts import WELCOME, list_owners, remove_owner, welcome_code
from master.owners.accounts import Owner as Account
from master.owners.passwords import LONGEST
from master.owners.sessions import Session, end_other_sessions, end_session, list_sessions
from master.tokens import Principal, Scope
from tasks.record import Record

MOST_POLICY = 64 * 1024
_Name = Annotated[str, Path(max_length=100)]


class ChangePassword(Record):
    #: The one that holds now. A token of the terminal needs none.
    before: str = Field(default="", max_length=LONGEST)
    password: str = Field(max_length=LONGEST)


class PolicyText(Record):
    #: The whole file, as TOML.
    text: str = Field(max_length=MOST_POLICY)
    #: SHA-256 of the text that was changed: refused when somebody else has changed it meanwhile.
    before: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")


class WelcomeCode(Answer):
    """With which somebody becomes an owner. It is shown this once."""

    code: str
    expires_at: datetime


class Removed(Answer):
    name: str
    #: Sessions that ended with the account.
    sessions: int


class Ended(Answer):
    sessions: int


def account_router(services: Services, gatekeeper: Gatekeeper) -> APIRouter:
    """``/api/owners``, ``/api/sessions`` and ``/api/policy/text``."""
    router = APIRouter(prefix="/api", tags=["owners"])
    Owner = Annotated[Principal, Depends(gatekeeper.require(Scope.OWNER))]  # noqa: N806 (a type)
    OneWrite = Annotated[Once, Depends(once_of(services))]  # noqa: N806
    clock = services.clock

    @router.get("/owners", summary="List the owners")
    async def get_owners(_: Owner, wanted: Paging) -> Page[Account]:
        found = await services.read(list_owners)
        return wanted.cut("owners", found, lambda owner: (owner.created_at, owner.name))

    @router.post("/owners/codes", status_code=201, summary="Make a code with which somebody becomes an owner")
    async def post_code(caller: Owner, once: OneWrite) -> WelcomeCode:
        def make(connection: Connection) -> dict[str, Any]:
            now = clock()
            record_event(connection, "owner_invited", now, by=caller.name)
            code = welcome_code(connection, by=caller.name, now=now)
            return {"code": code, "expires_at": (now + WELCOME).isoformat()}

        return WelcomeCode.model_validate(await once(make))

    @router.put("/owners/{name}/password", summary="Change an owner's password; their other sessions end")
    async def put_password(caller: Owner, name: _Name, body: ChangePassword) -> Ended:
        ended = await gatekeeper.desk.change_password(name, body.before, body.password, caller)
        gatekeeper.forget()
        return Ended(sessions=ended)

    @router.delete("/owners/{name}", summary="Remove an owner; their sessions end")
    async def delete_owner(caller: Owner, name: _Name) -> Removed:
        ended = await services.write(lambda c: remove_owner(c, name, by=caller.name, now=clock()))
        gatekeeper.forget()
        return Removed(name=name, sessions=ended)

    @router.get("/sessions", summary="List the dashboard's open sessions")
    async def get_sessions(_: Owner, wanted: Paging) -> Page[Session]:
        found = await services.read(lambda c: list_sessions(c, now=clock()))
        return wanted.cut("sessions", found, lambda session: (session.created_at, session.id))

    @router.delete("/sessions/{session}", summary="End one session")
    async def delete_session(caller: Owner, session: _Name) -> Ended:
        await services.write(lambda c: end_session(c, session, by=caller.name, now=clock()))
        gatekeeper.forget()
        return Ended(sessions=1)

    @router.delete("/sessions", summary="End every session, except the one that asks")
    async def delete_sessions(caller: Owner) -> Ended:
        ended = await services.write(
            lambda c: end_other_sessions(c, caller.session, by=caller.name, now=clock())
        )
        gatekeeper.forget()
        return Ended(sessions=ended)

    @router.put("/policy/text", summary="Replace the owner's rules; the ones before are kept")
    async def put_policy(caller: Owner, body: PolicyText) -> Policy:
        path = services.settings.policy_path
        policy = await services.read(lambda _: change_policy(path, body.text, before=body.before))
        await services.write(lambda c: record_event(c, "policy_changed", clock(), by=caller.name))
        return policy

    @router.get("/policy/text", summary="Show the file of the owner's rules")
    async def get_policy_text(_: Owner) -> PolicyText:
        text, digest = await services.read(lambda _: read_text(services.settings.policy_path))
        return PolicyText(text=text, before=digest)

    return router
