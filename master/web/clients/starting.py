"""A project is added from the page: the brief is looked at first, added second."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from master.api.clients import AddClient, post_client
from master.api.services import Services
from master.clients.brief import parse_brief
from master.clients.store import add_client, get_brief, get_client
from master.clients.watch import take_pending
from master.clients.yaml_tree import MAX_BYTES
from master.flows.runs import start_run
from master.tokens import Principal
from master.web.door import Door, Reading
from master.web.uploads import Sent, read_upload
from tasks.errors import InvalidInput
from tasks.files import ROOT

#: Encoded, with the form's other parts.
MOST_FORM = 4 * MAX_BYTES


def read_new(reading: Reading) -> dict[str, Any]:
    """``/clients/new``: an empty brief to fill in, or to replace by a file."""
    return {"brief": None, "problems": [], "text": _example(), "source": "brief.yaml", "still": True}


def _example() -> str:
    """The example of the repository, where it is installed with it."""
    path = ROOT / "examples" / "brief.yaml"
    return path.read_text(encoding="utf-8") if path.is_file() else ""


async def post_check(door: Door, request: Request, caller: Principal) -> Response:
    """``/clients/check``: what the brief says, or everything that is wrong in it. Nothing is kept."""
    sent = await read_upload(request, MOST_FORM)
    values: dict[str, Any] = {"brief": None, "problems": [], "text": "", "source": "brief.yaml"}
    try:
        values["text"], values["source"] = _text_of(sent)
        values["brief"] = parse_brief(values["text"].encode(), values["source"])
    except InvalidInput as error:
        values["problems"] = str(error).split("; ")

    status = 422 if values["problems"] else 200
    return await door.show(request, caller, "clients_new.html", read_new, more=values, status=status)


def _text_of(sent: Sent) -> tuple[str, str]:
    """The file if one was chosen, else what was written."""
    if sent.files.get("file"):
        file = sent.files["file"][0]
        try:
            return file.data.decode("utf-8-sig"), file.name
        except UnicodeDecodeError:
            # The parser says it with the line.
            parse_brief(file.data, file.name)
    text = sent.fields.get("brief", "").replace("\r\n", "\n")
    return text, sent.fields.get("source", "brief.yaml")[:200] or "brief.yaml"


async def post_add(services: Services, request: Request, _: Principal) -> Response:
    """``/clients/add``: the brief becomes a project; work on it begins at once."""
    sent = await read_upload(request, MOST_FORM)
    text, source = _text_of(sent)
    body = AddClient(brief_yaml=text, source=source, again=sent.fields.get("again") == "yes")
    added = await services.write(lambda connection: post_client(connection, body, services.clock))
    return _to_project(added.id)


async def post_again(services: Services, request: Request, _: Principal) -> Response:
    """``/clients/{client_id}/again``: the same brief is delivered once more."""
    client_id, now = request.path_params["client_id"], services.clock()

    def work(connection: Connection) -> str:
        client = get_client(connection, client_id)
        brief = get_brief(connection, client.id)
        added = add_client(connection, brief, now, source=client.source, again=True)
        take_pending(
            connection,
            lambda connection, flow, params, *, idempotency_key: start_run(
                connection, flow, params, now=now, idempotency_key=idempotency_key
            ),
            now=now,
        )
        return added.client.id

    return _to_project(await services.write(work))


def _to_project(client_id: str) -> Response:
    return RedirectResponse(f"/clients/{quote(client_id, safe='')}", status_code=303)
