"""The owner's rules: shown as they are read, changed as the file that they are."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from master.api.services import Services
from master.approvals import ApprovalType, Policy
from master.approvals.policy_edit import (
    EXAMPLE,
    MOST_BYTES,
    change_policy,
    previous_of,
    read_text,
    undo_policy,
)
from master.approvals.policy_file import parse_policy
from master.events import record_event
from master.tokens import Principal
from master.web.door import N_, Door, Reading, Section
from master.web.forms import read_form
from tasks.errors import InvalidInput, UsageError

HERE = "/settings/policy"
_TEMPLATE = "settings_policy.html"
#: Each byte may be three when a form carries it.
_MOST_FORM = 4 * MOST_BYTES


def routes(door: Door) -> list[BaseRoute]:
    async def change(services: Services, request: Request, caller: Principal) -> Response:
        """The field ``act``: ``save``, or ``check`` to see only whether it would do."""
        form = await read_form(request, _MOST_FORM)
        text, before = form.get("text", ""), form.get("before", "")
        path = services.settings.policy_path
        shown: dict[str, Any] = {"text": text, "before": before}
        try:
            if form.get("act", "") == "save":
                await services.read(lambda _: change_policy(path, text, before=before))
                await _note(services, "policy_changed", caller)
                return RedirectResponse(f"{HERE}?done=saved", status_code=303)
            shown["checked"] = parse_policy(text, path.name)
        except UsageError as error:
            return await door.show(
                request, caller, _TEMPLATE, read_policy, more={**shown, "wrong": str(error)}, status=422
            )
        return await door.show(request, caller, _TEMPLATE, read_policy, more=shown)

    async def undo(services: Services, _: Request, caller: Principal) -> Response:
        path = services.settings.policy_path
        await services.read(lambda _: undo_policy(path))
        await _note(services, "policy_undone", caller)
        return RedirectResponse(f"{HERE}?done=undone", status_code=303)

    return [
        door.page(HERE, _TEMPLATE, read_policy),
        door.form(HERE, change, most_bytes=_MOST_FORM),
        door.form(f"{HERE}/undo", undo),
    ]


def read_policy(reading: Reading) -> dict[str, Any]:
    """A file that cannot be read as rules is shown all the same, with what is wrong with it."""
    path = reading.services.settings.policy_path
    text, digest = read_text(path)
    wrong, policy = "", Policy()
    try:
        policy = reading.policy
    except InvalidInput as error:
        wrong = str(error)
    return {
        "policy": policy,
        "rules": [(kind, policy.rule(kind)) for kind in ApprovalType],
        "path": str(path),
        "exists": path.exists(),
        "text": text,
        "before": digest,
        "wrong": wrong,
        "checked": None,
        "can_undo": previous_of(path).exists(),
        "example": EXAMPLE,
        "done": reading.query.get("done", ""),
    }


async def _note(services: Services, name: str, caller: Principal) -> None:
    await services.write(lambda c: record_event(c, name, services.clock(), by=caller.name))


PAGE = Section(path=HERE, name=N_("Rules"), routes=routes)
