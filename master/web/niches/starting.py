"""A study is started from the page: the exports are sent and looked at first, started second."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from master.api.services import Services
from master.flows.runs import start_run
from master.niches.bytes_text import MOST_BYTES
from master.niches.keywords import KeywordRow, KeywordTable, parse_export
from master.niches.markets import MARKETS, get_market
from master.niches.reading import FLOW, study_again
from master.store.artifacts import ArtifactFolder, find_artifact, record_artifact
from master.tokens import Principal
from master.web.asked import once_of, whole
from master.web.door import Reading
from master.web.forms import read_form
from master.web.uploads import SentFile, read_upload
from tasks.errors import D8Error, InvalidInput, NotFound

#: Exports in one study that is started here; the command line takes more.
MOST_FILES = 6
#: A form with exports in it.
MOST_FORM = MOST_BYTES + 2**20
_SHOWN = 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Export:
    """A kept export as the page's address names it: ``digest|market|name``."""

    digest: str
    #: Market where it was measured; "" for the study's first.
    home: str
    name: str

    @property
    def text(self) -> str:
        return f"{self.digest}|{self.home}|{self.name}"


def export_of(text: str) -> Export:
    digest, _, rest = text.partition("|")
    home, _, name = rest.partition("|")
    if len(digest) != 64 or not name:
        raise InvalidInput(
            "the address does not say which exports are meant: choose them again at /niches/new"
        )
    return Export(digest=digest, home=get_market(home).key if home else "", name=name)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preview:
    """What a study would make of one export, or why it cannot."""

    export: Export
    problem: str = ""
    table: KeywordTable | None = None

    @property
    def most_searched(self) -> Sequence[KeywordRow]:
        rows = self.table.rows if self.table else ()
        return sorted(rows, key=lambda row: (-row.volume_high, row.text))[:_SHOWN]


async def post_check(services: Services, request: Request, _: Principal) -> Response:
    """``/niches/check``: keep the exports, and show what a study would make of them."""
    sent = await read_upload(request, MOST_FORM)
    sent.only_file("files", "one or more keyword exports (.csv)")
    exports = [await _keep(services, file) for file in sent.files["files"]]
    asked = [("file", one.text) for one in exports]
    asked += [("market", market) for market in sent.values.get("market", [])]
    return RedirectResponse(f"/niches/new?{urlencode(asked)}", status_code=303)


async def _keep(services: Services, file: SentFile) -> Export:
    digest = await services.read(lambda _: services.folder.write(file.data))
    now = services.clock()
    await services.write(
        lambda connection: record_artifact(
            connection,
            digest,
            name=file.name,
            media_type="text/csv",
            size=len(file.data),
            run_id="",
            now=now,
        )
    )
    return Export(digest=digest, home="", name=file.name.replace("|", " "))


def read_new(reading: Reading) -> dict[str, Any]:
    """``/niches/new?file=&home=&market=&from=``: nothing chosen yet, or the exports as a study reads them."""
    query = reading.request.query_params
    exports = [export_of(text) for text in query.getlist("file")[:MOST_FILES]]
    for at, home in enumerate(query.getlist("home")[: len(exports)]):
        exports[at] = dataclasses.replace(exports[at], home=get_market(home).key if home else "")
    markets = [get_market(name).key for name in query.getlist("market")] or (["spain"] if exports else [])
    folder = ArtifactFolder(reading.services.settings.artifact_folder)
    previews = [_preview(reading, folder, one, markets) for one in exports]
    return {
        "exports": previews,
        "ready": bool(previews) and not any(one.problem for one in previews),
        "markets": MARKETS,
        "chosen": markets,
        "domain_from": query.get("from", "70"),
        "most_files": MOST_FILES,
        "still": True,
        "once": secrets.token_hex(8),
    }


def _preview(reading: Reading, folder: ArtifactFolder, export: Export, markets: Sequence[str]) -> Preview:
    if find_artifact(reading.connection, export.digest) is None:
        raise NotFound(f"{export.name} is not kept here: choose it again at /niches/new")
    try:
        home = get_market(export.home or markets[0])
        table = parse_export(folder.read(export.digest), export.name, home.currency)
    except D8Error as error:
        return Preview(export=export, problem=str(error))
    return Preview(export=export, table=table)


async def post_start(services: Services, request: Request, caller: Principal) -> Response:
    """``/niches/start``: what was looked at becomes a run."""
    form = await read_form(request)
    params, now = params_of(form), services.clock()
    run_id = await services.write(
        lambda connection: start_run(
            connection, FLOW, params, now=now, by=caller.identity, idempotency_key=once_of(form)
        )
    )
    return _to_study(run_id)


def params_of(form: Mapping[str, str]) -> dict[str, Any]:
    """The flow's parameters; fields ``file0``, ``file1``, ..., ``markets`` with commas, ``from``."""
    exports = [export_of(form[f"file{at}"]) for at in range(MOST_FILES) if f"file{at}" in form]
    return {
        "exports": [{"name": one.name, "digest": one.digest, "market": one.home} for one in exports],
        "markets": [get_market(name).key for name in form.get("markets", "").split(",") if name],
        "domain_from_score": _from(form),
        "model": form.get("model", "").strip(),
    }


async def post_again(services: Services, request: Request, caller: Principal) -> Response:
    """``/niches/{run_id}/again`` with ``from``: the same exports once more."""
    form, now = await read_form(request), services.clock()
    run_id = await services.write(
        lambda connection: study_again(
            connection,
            request.path_params["run_id"],
            domain_from=_from(form),
            by=caller.identity,
            now=now,
            once=once_of(form),
        )
    )
    return _to_study(run_id)


def _from(form: Mapping[str, str]) -> float:
    return float(whole(form.get("from", ""), "points")) if form.get("from", "").strip() else 70.0


def _to_study(run_id: str) -> Response:
    return RedirectResponse(f"/niches/{quote(run_id, safe='')}", status_code=303)
