"""An evolution is started from the page: the file is sent and looked at first, started second."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from master.api.services import Services
from master.darwin.columns import Reading as Columns
from master.darwin.dataset import MAX_BYTES
from master.darwin.params import EngineName
from master.darwin.preview import Preview, preview_examples, preview_program
from master.flows.runs import start_run
from master.store.artifacts import ArtifactFolder, find_artifact, record_artifact
from master.tokens import Principal
from master.web.asked import once_of, whole
from master.web.darwin.acting import to_evolution
from master.web.door import Reading
from master.web.forms import read_form
from master.web.uploads import read_upload
from tasks.darwin_genome import KINDS, Kind
from tasks.darwin_metrics import METRICS
from tasks.errors import InvalidInput, NotFound

#: A form with a data set in it.
MOST_FORM = MAX_BYTES + 64 * 1024
_TYPES = {"csv": "text/csv", "py": "text/x-python"}
#: What describes how the file is read: from form to address to form.
_ASKED = ("file", "name", "task", "input", "expected", "split", "seed")


async def post_check(services: Services, request: Request, _: Principal) -> Response:
    """``/darwin/check``: keep the file, and show what a run would make of it."""
    sent = await read_upload(request, MOST_FORM)
    file = sent.only_file("file", "a CSV or JSONL file, or a Python program")
    digest = await services.read(lambda _: services.folder.write(file.data))
    now, ending = services.clock(), file.name.lower().rpartition(".")[2]
    await services.write(
        lambda connection: record_artifact(
            connection,
            digest,
            name=file.name,
            media_type=_TYPES.get(ending, "application/jsonl"),
            size=len(file.data),
            run_id="",
            now=now,
        )
    )
    asked = {"file": digest, "name": file.name, "task": sent.fields.get("task", "classify")}
    return RedirectResponse(f"/darwin/new?{urlencode(asked)}", status_code=303)


def read_new(reading: Reading) -> dict[str, Any]:
    """``/darwin/new?file=&name=&task=&input=&expected=&split=&seed=``: nothing chosen yet, or the file as a run
    would read it."""
    query = reading.request.query_params
    asked = {
        name: ",".join(query.getlist(name)) if name == "expected" else query.get(name, "") for name in _ASKED
    }
    task = _task(asked["task"])
    values: dict[str, Any] = {
        "asked": asked,
        "task": task,
        "tasks": KINDS,
        "metrics": [name for name in METRICS[task] if name != "own"],
        "engines": [engine.value for engine in EngineName],
        "is_program": asked["name"].lower().endswith(".py"),
        "preview": None,
        "still": True,
        # Sent twice by an impatient hand, a form starts one run.
        "once": secrets.token_hex(8),
    }
    if asked["file"]:
        values["preview"] = _preview(reading, asked, task)
    return values


def _preview(reading: Reading, asked: Mapping[str, str], task: Kind) -> Preview:
    if find_artifact(reading.connection, asked["file"]) is None:
        raise NotFound("the file that this page is about is not kept here: choose it again at /darwin/new")
    data = ArtifactFolder(reading.services.settings.artifact_folder).read(asked["file"])
    if asked["name"].lower().endswith(".py"):
        return preview_program(data, asked["name"])
    return preview_examples(data, asked["name"], columns_of(asked, task), whole(asked["seed"], "seed"))


def columns_of(asked: Mapping[str, str], task: Kind) -> Columns:
    """How the file is to be read."""
    expected = tuple(part.strip() for part in asked.get("expected", "").split(",") if part.strip())
    return Columns(kind=task, input=asked.get("input", ""), expected=expected, split=asked.get("split", ""))


def _task(text: str) -> Kind:
    found = next((kind for kind in KINDS if kind == (text or "classify")), None)
    if found is None:
        raise InvalidInput(f"there is no task {text[:40]!r}: take {', '.join(KINDS)}")
    return found


async def post_start(services: Services, request: Request, caller: Principal) -> Response:
    """``/darwin/start``: what was looked at becomes a run."""
    form = await read_form(request)
    flow, params = params_of(form, services.policy().zone)
    now = services.clock()
    run_id = await services.write(
        lambda connection: start_run(
            connection,
            flow,
            params,
            now=now,
            by=caller.identity,
            idempotency_key=once_of(form),
        )
    )
    return to_evolution(run_id)


def params_of(form: Mapping[str, str], zone: tzinfo) -> tuple[str, dict[str, Any]]:
    """The flow and its parameters; ``until`` is a local time in ``zone``. ``InvalidInput``."""
    filename = form.get("name", "")
    shared: dict[str, Any] = {
        "filename": filename,
        "name": form.get("title", "").strip(),
        "engine": form.get("engine", "steady"),
        "population": whole(form.get("population", ""), "candidates") or 8,
        "budget": {
            "evals": whole(form.get("evals", ""), "evaluations"),
            "micros": _micros(form.get("eur", "")),
            "until": _until(form.get("until", ""), zone),
        },
        "objectives": form.get("objectives", "score"),
        "seed": whole(form.get("seed", ""), "seed"),
    }
    if filename.lower().endswith(".py"):
        own = {
            "environment": form.get("file", ""),
            "lot": whole(form.get("lot", ""), "genomes") or 1,
            "seconds": whole(form.get("seconds", ""), "seconds") or 60,
            "trusted": form.get("trusted") == "yes",
            "repeatable": form.get("repeatable") == "yes",
        }
        return "darwin-environment", {**shared, **own}
    task = _task(form.get("task", ""))
    columns = columns_of(form, task)
    return "darwin", {
        **shared,
        "dataset": form.get("file", ""),
        "task": task,
        "input_column": columns.input,
        "expected_columns": columns.expected,
        "split_column": columns.split,
        "metric": {"name": form["metric"]} if form.get("metric") else None,
        "examples": whole(form.get("examples", ""), "examples") or 64,
        "shard": whole(form.get("shard", ""), "examples") or 16,
        "model": form.get("model", "").strip(),
        "critic": form.get("critic", "").strip(),
        "promote": form.get("promote", "").strip(),
    }


def _micros(text: str) -> int:
    """Euros in millionths; 0 for none."""
    bare = text.strip().replace(",", ".")
    try:
        amount = Decimal(bare) if bare else Decimal(0)
    except InvalidOperation:
        amount = Decimal(-1)
    if not 0 <= amount <= 1_000_000:
        raise InvalidInput(f"{text[:40]!r} is not an amount of euros: write it like 2.50")
    return round(amount * 1_000_000)


def _until(text: str, zone: tzinfo) -> datetime | None:
    if not text.strip():
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InvalidInput(f"{text[:40]!r} is not a time: write it like 2026-12-01T07:00") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)
