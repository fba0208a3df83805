"""The owner's tokens for programs."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends

from master.api.auth import Gatekeeper
from master.api.services import Services
from master.events import record_event
from master.owners.sessions import end_other_sessions
from master.tokens import DASHBOARD, Principal, Scope, list_tokens, name_token, revoke_token
from tasks.protocol import Name
from tasks.record import Record


class NewToken(Record):
    name: Name
    scope: Literal[Scope.METRICS, Scope.OWNER] = Scope.METRICS


def token_router(services: Services, gatekeeper: Gatekeeper) -> APIRouter:
    """``/api/tokens``."""
    router = APIRouter(prefix="/api/tokens")
    Owner = Annotated[Principal, Depends(gatekeeper.require(Scope.OWNER))]  # noqa: N806 (a type)
    clock = services.clock

    @router.get("")
    async def get_tokens(_: Owner) -> list[dict[str, Any]]:
        return await services.read(
            lambda c: [known.model_dump(mode="json") for known in list_tokens(c, now=clock())]
        )

    @router.post("", status_code=201)
    async def post_token(caller: Owner, body: NewToken) -> dict[str, Any]:
        def create(connection: Any) -> str:
            now = clock()
            token = name_token(connection, body.scope, body.name, now=now)
            record_event(
                connection, "token_created", now, token=body.name, scope=str(body.scope), by=caller.name
            )
            return token

        return {"name": body.name, "scope": body.scope, "token": await services.write(create)}

    @router.delete("/{name}")
    async def delete_token(caller: Owner, name: str) -> dict[str, Any]:
        def revoke(connection: Any) -> int:
            if name == DASHBOARD:
                return end_other_sessions(connection, "", by=caller.name, now=clock())
            revoked = revoke_token(connection, name)
            record_event(connection, "token_revoked", clock(), token=name, by=caller.name)
            return revoked

        revoked = await services.write(revoke)
        gatekeeper.forget()
        return {"name": name, "revoked": revoked}

    return router
