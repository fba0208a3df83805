"""What the buttons of a list do: one form for each thing's name and verb, and back to the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from master.api.services import Services
from master.tokens import Principal
from master.web.door import Door
from tasks.errors import InvalidInput, NotFound

R = TypeVar("R", bound=BaseModel)
Act = Callable[[Connection, str, Principal, Services], object]


def done(here: str, what: str) -> Response:
    """To the page, which says so."""
    return RedirectResponse(f"{here}?done={what}", status_code=303)


def verb_route(door: Door, here: str, what: str, acts: Mapping[str, Act]) -> Route:
    """``HERE/{name}/{verb}``. ``what``: "a schedule", for whoever makes an address up."""

    async def act(services: Services, request: Request, caller: Principal) -> Response:
        name, verb = request.path_params["name"], request.path_params["verb"]
        if verb not in acts:
            raise NotFound(f"{what} has no {verb[:40]!r}: use the page's buttons")
        await services.write(lambda connection: acts[verb](connection, name, caller, services))
        return done(here, verb)

    return door.form(f"{here}/{{name}}/{{verb}}", act)


def read_record(kind: type[R], fields: Mapping[str, Any]) -> R:
    """A record out of a form's fields; ``InvalidInput`` says which one is wrong."""
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidInput(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
