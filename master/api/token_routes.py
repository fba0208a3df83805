"""The owner's tokens for programs."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path
from sqlalchemy import Connection

from master.api import answers
from master.api.auth import Gatekeeper
from master.api.once import Once, once_of
from master.api.paging import Page, Paging
from master.api.services import Services
from master.events import record_event
from master.owners.sessions import end_other_sessions
from master.tokens import DASHBOARD, KnownToken, Principal, Scope, list_tokens, name_token, revoke_token
from tasks.protocol import Name
from tasks.record import Record


class NewToken(Record):
    name: Name
    scope: Literal[Scope.METRICS, Scope.OWNER] = Scope.METRICS


def token_router(services: Services, gatekeeper: Gatekeeper) -> APIRouter:
    """``/api/tokens``."""
    router = APIRouter(prefix="/api/tokens", tags=["tokens"])
    Owner = Annotated[Principal, Depends(gatekeeper.require(Scope.OWNER))]  # noqa: N806 (a type)
    OneWrite = Annotated[Once, Depends(once_of(services))]  # noqa: N806
    clock = services.clock

    @router.get("", summary="List the owner's tokens and sessions, without the tokens themselves")
    async def get_tokens(_: Owner, wanted: Paging) -> Page[KnownToken]:
        found = await services.read(lambda c: list_tokens(c, now=clock()))
        return wanted.cut("tokens", found, _place)

    @router.post("", status_code=201, summary="Make a token; it is shown this once")
    async def post_token(caller: Owner, body: NewToken, once: OneWrite) -> answers.NewToken:
        def create(connection: Connection) -> dict[str, Any]:
            now = clock()
            token = name_token(connection, body.scope, body.name, now=now)
            record_event(
                connection, "token_created", now, token=body.name, scope=str(body.scope), by=caller.name
            )
            return {"name": body.name, "scope": body.scope, "token": token}

        return answers.NewToken.model_validate(await once(create))

    @router.delete("/{name}", summary="Take a token away: it is worth nothing at once")
    async def delete_token(caller: Owner, name: Annotated[str, Path(max_length=100)]) -> answers.Revoked:
        def revoke(connection: Connection) -> int:
            if name == DASHBOARD:
                return end_other_sessions(connection, "", by=caller.name, now=clock())
            revoked = revoke_token(connection, name)
            record_event(connection, "token_revoked", clock(), token=name, by=caller.name)
            return revoked

        revoked = await services.write(revoke)
        gatekeeper.forget()
        return answers.Revoked(name=name, revoked=revoked)

    return router


def _place(token: KnownToken) -> tuple[datetime, str]:
    """Sessions share a name, but not the microsecond in which they began."""
    return token.created_at, token.name
