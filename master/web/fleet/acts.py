"""What the fleet's forms do: each calls the fleet's own function and leads back to where it was pressed."""

from __future__ import annotations

import dataclasses
import re
from urllib.parse import quote, urlencode

from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from master.api.joining import invite_worker
from master.api.services import Services
from master.fleet.invites import MOST_HOURS, revoke_invite
from master.fleet.logs import ask_log
from master.fleet.roster import ask_update, drain_worker, remove_worker
from master.rabbitmq import remove_worker_user
from master.tokens import Principal
from master.web.door import Answer, Door, Post
from master.web.forms import read_form
from tasks.errors import InvalidInput, NotFound

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Acts:
    invite: Post
    show_no_invite: Answer
    revoke: Post
    act: Post


def acts_of(door: Door) -> Acts:
    async def invite(services: Services, request: Request, caller: Principal) -> Response:
        """The answer is the page with the command: it can be seen this once, so nothing leads away from it."""
        form = await read_form(request)
        worker, hours = check_invite(form.get("worker", "").strip().lower(), form.get("hours", "1"))
        made = await invite_worker(services, worker, hours, caller.name, services.write)
        frame = await services.read(lambda connection: door.frame(connection, services.clock()))
        return door.render(request, "fleet_invite.html", {**frame, "made": made})

    async def show_no_invite(request: Request, caller: Principal) -> Response:
        raise NotFound("an invite's command is shown once, when it is made: make a new one on the Fleet page")

    async def revoke(services: Services, request: Request, caller: Principal) -> Response:
        invite_id, now = request.path_params["invite_id"], services.clock()
        await services.write(lambda connection: revoke_invite(connection, invite_id, by=caller.name, now=now))
        return RedirectResponse("/fleet#invites", status_code=303)

    async def act(services: Services, request: Request, caller: Principal) -> Response:
        form, name, verb = (
            await read_form(request),
            request.path_params["worker"],
            request.path_params["verb"],
        )
        if verb not in _STATES:
            raise NotFound(f"a worker can be asked to {', '.join(_STATES)}, not to {verb[:40]!r}")
        await services.write(lambda connection: _do(connection, services, verb, name, caller))
        if verb == "remove":
            # Its token is remembered for some seconds otherwise.
            door.gatekeeper.forget()
            if services.rabbitmq is not None:
                await run_in_threadpool(remove_worker_user, services.rabbitmq, name)
        return _back(form, verb, name)

    return Acts(invite=invite, show_no_invite=show_no_invite, revoke=revoke, act=act)


#: What can be asked of a worker, and the state that the next page tells of ("" for none).
_STATES = {"drain": "draining", "resume": "active", "update": "", "remove": "removed", "log": ""}


def _do(connection: Connection, services: Services, verb: str, name: str, caller: Principal) -> None:
    by, now = caller.name, services.clock()
    if verb in ("drain", "resume"):
        drain_worker(connection, name, resume=verb == "resume", by=by, now=now)
    elif verb == "update":
        ask_update(connection, name, by=by, now=now)
    elif verb == "remove":
        remove_worker(connection, name, by=by, now=now)
    else:
        ask_log(connection, name, by=by, now=now)


def _back(form: dict[str, str], verb: str, name: str) -> Response:
    """To the list or to the worker's own page, which says what was done and offers to undo it."""
    state = _STATES[verb]
    query = f"?{urlencode({'told': f'{state}:{name}'})}" if state else ""
    on_list = form.get("back", "") == "fleet" or verb == "remove"
    place = "/fleet" if on_list else f"/fleet/{quote(name, safe='')}"
    return RedirectResponse(f"{place}{query}{'#log' if verb == 'log' else ''}", status_code=303)


def check_invite(worker: str, hours: str) -> tuple[str, float]:
    """The worker's name ("" when it names itself) and how long the invite is good. ``InvalidInput``."""
    if worker and not _NAME.fullmatch(worker):
        raise InvalidInput(
            f"{worker[:80]!r} is no name for a worker: small letters, digits, '.', '_' and '-', at most 63 of "
            f"them, a letter or a digit first"
        )
    try:
        given = float(hours)
    except ValueError:
        given = 0.0
    if not 0 < given <= MOST_HOURS:
        raise InvalidInput(f"an invite is good for up to {MOST_HOURS} hours, not {hours[:20]!r}")
    return worker, given
