"""Tokens of programs: made here and shown once, listed, taken away."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from master.api.services import Services
from master.api.token_routes import NewToken
from master.events import record_event
from master.tokens import DASHBOARD, LOCAL_OWNER, Principal, Scope, list_tokens, name_token, revoke_token
from master.web.door import N_, Door, Reading, Section
from master.web.forms import read_form
from tasks.errors import InvalidInput

HERE = "/settings/tokens"
_TEMPLATE = "settings_tokens.html"


def routes(door: Door) -> list[BaseRoute]:
    async def create(services: Services, request: Request, caller: Principal) -> Response:
        """The token is in this answer and nowhere else."""
        form = await read_form(request)
        try:
            wanted = NewToken(name=form.get("name", "").strip(), scope=form.get("scope", ""))
        except ValidationError:
            raise InvalidInput(
                f"{form.get('name', '')[:63]!r} cannot be a token's name: use small letters, digits, '.', '_' and '-', "
                f"such as 'prometheus', and choose what it may do"
            ) from None

        def make(connection: Connection) -> str:
            now = services.clock()
            token = name_token(connection, wanted.scope, wanted.name, now=now)
            record_event(
                connection, "token_created", now, token=wanted.name, scope=str(wanted.scope), by=caller.name
            )
            return token

        made = {"name": wanted.name, "scope": str(wanted.scope), "token": await services.write(make)}
        return await door.show(request, caller, _TEMPLATE, read_tokens, more={"made": made})

    async def revoke(services: Services, request: Request, caller: Principal) -> Response:
        name = request.path_params["name"]

        def take(connection: Connection) -> None:
            revoke_token(connection, name)
            record_event(connection, "token_revoked", services.clock(), token=name, by=caller.name)

        await services.write(take)
        door.gatekeeper.forget()
        return RedirectResponse(f"{HERE}?done=revoked", status_code=303)

    return [
        door.page(HERE, _TEMPLATE, read_tokens),
        door.form(HERE, create),
        door.form(f"{HERE}/{{name}}/revoke", revoke),
    ]


def read_tokens(reading: Reading) -> dict[str, Any]:
    """Tokens of programs; one-time codes, which end by themselves, are left out."""
    known = list_tokens(reading.connection, now=reading.now)
    return {
        "tokens": [token for token in known if token.name != DASHBOARD],
        "local": LOCAL_OWNER,
        "scopes": [
            (str(Scope.METRICS), N_("reads /metrics and nothing else")),
            (str(Scope.OWNER), N_("may do everything that you may")),
        ],
        "made": None,
        "done": reading.query.get("done", ""),
    }


PAGE = Section(path=HERE, name=N_("Tokens"), routes=routes)
