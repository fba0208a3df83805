"""Who may come in: your password, where you are logged in, the other owners."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from master.api.services import Services
from master.events import record_event
from master.owners.accounts import list_owners, remove_owner, welcome_code
from master.owners.sessions import end_other_sessions, end_session, list_sessions
from master.tokens import Principal
from master.web.agents import describe_agent
from master.web.door import N_, Door, Reading, Section
from master.web.forms import read_form
from tasks.errors import InvalidInput

HERE = "/settings"
_TEMPLATE = "settings_access.html"


def routes(door: Door) -> list[BaseRoute]:
    async def password(_: Services, request: Request, caller: Principal) -> Response:
        form = await read_form(request)
        name = caller.owner or form.get("owner", "")
        if form.get("password", "") != form.get("again", ""):
            raise InvalidInput("the two new passwords are not the same: go back and enter them again")
        await door.gatekeeper.desk.change_password(
            name, form.get("before", ""), form.get("password", ""), caller
        )
        door.gatekeeper.forget()
        return _back("password")

    async def invite(services: Services, request: Request, caller: Principal) -> Response:
        """The code is in this answer and nowhere else."""

        def make(connection: Connection) -> str:
            now = services.clock()
            record_event(connection, "owner_invited", now, by=caller.name)
            return welcome_code(connection, by=caller.name, now=now)

        code = await services.write(make)
        link = f"{request.base_url}welcome?code={code}"
        return await door.show(
            request, caller, _TEMPLATE, read_access, more={"invited": {"code": code, "link": link}}
        )

    async def remove(services: Services, request: Request, caller: Principal) -> Response:
        name = request.path_params["name"]
        await services.write(lambda c: remove_owner(c, name, by=caller.name, now=services.clock()))
        door.gatekeeper.forget()
        return _back("owner")

    async def end(services: Services, request: Request, caller: Principal) -> Response:
        """The field ``session``: one; without it, all but this one."""
        wanted = (await read_form(request)).get("session", "")

        def work(connection: Connection) -> None:
            now = services.clock()
            if wanted:
                end_session(connection, wanted, by=caller.name, now=now)
            else:
                end_other_sessions(connection, caller.session, by=caller.name, now=now)

        await services.write(work)
        door.gatekeeper.forget()
        return _back("session")

    return [
        door.page(HERE, _TEMPLATE, read_access),
        door.form(f"{HERE}/password", password),
        door.form(f"{HERE}/owners/invite", invite),
        door.form(f"{HERE}/owners/{{name}}/remove", remove),
        door.form(f"{HERE}/sessions/end", end),
    ]


def read_access(reading: Reading) -> dict[str, Any]:
    owners = list_owners(reading.connection)
    return {
        "me": next((owner for owner in owners if owner.name == reading.caller.owner), None),
        "owners": owners,
        "this_session": reading.caller.session,
        "sessions": [
            (session, describe_agent(session.agent))
            for session in list_sessions(reading.connection, now=reading.now)
        ],
        "invited": None,
        "done": reading.query.get("done", ""),
    }


def _back(done: str) -> Response:
    return RedirectResponse(f"{HERE}?done={done}", status_code=303)


PAGE = Section(path=HERE, name=N_("Access"), routes=routes)
