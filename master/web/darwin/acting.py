"""The forms of one evolution: stop, take up again, ask for its best to be used."""

from __future__ import annotations

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from master.api.services import Services
from master.darwin.listing import FLOWS
from master.darwin.promotion import ask_for_promotion
from master.darwin.records import stop_evolution
from master.darwin.resume import resume_evolution
from master.flows.runs import get_run
from master.tokens import Principal
from master.web.asked import whole
from master.web.forms import read_form
from tasks.errors import NotFound


async def post_act(services: Services, request: Request, caller: Principal) -> Response:
    """``/darwin/{run_id}/stop``, ``/resume`` with ``evals``, ``/promote`` with ``name``."""
    run_id, verb = request.path_params["run_id"], request.path_params["verb"]
    form, now = await read_form(request), services.clock()
    if verb == "stop":
        await services.read(lambda connection: _check(get_run(connection, run_id).flow, run_id))
        await services.write(lambda connection: stop_evolution(connection, run_id, by=caller.name, now=now))
        return to_evolution(run_id)
    if verb == "resume":
        evals = whole(form.get("evals", ""), "evaluations")
        again = await services.write(
            lambda connection: resume_evolution(connection, run_id, evals=evals, by=caller.identity, now=now)
        )
        return to_evolution(again)
    if verb == "promote":
        name = form.get("name", "").strip()
        await services.write(
            lambda connection: ask_for_promotion(connection, run_id, name, by=caller.name, now=now)
        )
        return to_evolution(run_id)
    raise NotFound(f"an evolution can be asked to stop, resume or promote, not to {verb[:40]!r}")


def to_evolution(run_id: str) -> Response:
    return RedirectResponse(f"/darwin/{quote(run_id, safe='')}", status_code=303)


def _check(flow: str, run_id: str) -> None:
    if flow not in FLOWS:
        raise NotFound(f"run {run_id} is a {flow} run and no evolution: see it at /runs/{run_id}")
