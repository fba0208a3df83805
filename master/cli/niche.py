"""``d8 niche``: study keyword exports, look at what was found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from master.cli.base import Api

app = typer.Typer(help="Find market niches in keyword exports.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]


@app.command()
def start(
    files: Annotated[
        list[str], typer.Argument(help="Keyword exports; MARKET=FILE for one measured in another market.")
    ],
    market: Annotated[
        list[str] | None,
        typer.Option("--market", help="Where to sell; repeat it for several (default: spain)."),
    ] = None,
    domain_from: Annotated[
        float, typer.Option("--domain-from", help="Ask about a domain from this score on; 101 for never.")
    ] = 70.0,
    model: Annotated[str, typer.Option(help="Model reference; the master's default if empty.")] = "",
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Follow the study until it is done or asks.")
    ] = True,
    json_mode: Json = False,
) -> None:
    """Start a study."""
    from master.cli.base import connect, emit, follow_run, raise_unless_done, start_run, suggest_next

    markets = market or ["spain"]
    exports = _read_exports(files, markets)
    api = connect()
    params = {
        "exports": [
            {"name": name, "market": home, "digest": api.upload(name, data, "text/csv")}
            for name, home, data in exports
        ],
        "markets": markets,
        "domain_from_score": domain_from,
        "model": model,
    }
    run_id = start_run(api, flow="niche", params=params)
    if not wait:
        emit(
            {"id": run_id}, json_mode, lambda _: f"study {run_id} started: 'd8 niche show {run_id}' shows it"
        )
        return
    run = follow_run(api, run_id)
    raise_unless_done(run)
    emit({**run, "niches": _ranked(api, run)}, json_mode, _render)
    suggest_next(run)


@app.command()
def show(run: Annotated[str, typer.Argument(help="Id of the study's run.")], json_mode: Json = False) -> None:
    """Show one study: its niches, its reasons, its question."""
    from master.cli.base import connect, emit

    api = connect()
    found = _niche_run(api, run)
    emit({**found, "niches": _ranked(api, found)}, json_mode, _render)


@app.command("list")
def list_niches(
    run: Annotated[
        str, typer.Option("--run", help="Id of a study; the newest that has ranked if empty.")
    ] = "",
    json_mode: Json = False,
) -> None:
    """List ranked niches."""
    from master.cli.base import connect, emit

    api = connect()
    emit(_ranked(api, _niche_run(api, run) if run else _newest(api)), json_mode, _table)


def _read_exports(files: list[str], markets: list[str]) -> list[tuple[str, str, bytes]]:
    """(name, market, bytes) of each file, parsed here first so that a mistake is told at once."""
    from master.niches.keywords import parse_export
    from master.niches.markets import get_market

    home = get_market(markets[0])
    for name in markets:
        get_market(name)
    found = []
    for argument in files:
        head, mark, tail = argument.partition("=")
        bound = get_market(head) if mark and not Path(argument).exists() else None
        path = Path(tail if bound else argument)
        data = _read(path)
        parse_export(data, str(path), (bound or home).currency)
        found.append((path.name, bound.key if bound else "", data))
    return found


def _read(path: Path) -> bytes:
    from master.niches.bytes_text import MOST_BYTES
    from tasks.errors import InvalidInput

    try:
        if path.stat().st_size > MOST_BYTES:
            raise InvalidInput(
                f"{path}: {path.stat().st_size // 2**20} MiB is more than a keyword export has (at most "
                f"{MOST_BYTES // 2**20} MiB): give the export itself, or split it"
            )
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(
            f"{path}: cannot be read ({error.strerror}): give the path of a keyword export (.csv)"
        ) from None


def _niche_run(api: Api, run_id: str) -> dict[str, Any]:
    from tasks.errors import UsageError

    run: dict[str, Any] = api.get("/api/runs/" + run_id)
    if run["flow"] != "niche":
        raise UsageError(
            f"run {run_id} is of the flow {run['flow']!r}, not a niche study: 'd8 run show {run_id}'"
        )
    return run


def _newest(api: Api) -> dict[str, Any]:
    from tasks.errors import NotFound

    for listed in api.items("/api/runs", most=20, flow="niche"):
        run = _niche_run(api, listed["id"])
        if _data_digest(run):
            return run
    raise NotFound(
        "no niche study has ranked anything yet: start one with 'd8 niche start FILE.csv --market spain'"
    )


def _data_digest(run: dict[str, Any]) -> str:
    """The study's data, which is there before the run ends: it may wait for an answer for days."""
    return next((str(one["digest"]) for one in run["artifacts"] if one["name"] == "niches.json"), "")


def _ranked(api: Api, run: dict[str, Any]) -> list[dict[str, Any]]:
    from master.niches.report import MarketStudy, brief

    digest = _data_digest(run)
    if not digest:
        return []
    studies = [MarketStudy.model_validate(one) for one in json.loads(api.download(digest))["markets"]]
    return [brief(one) for study in studies for one in study.ranked]


def _table(niches: list[dict[str, Any]]) -> Table:
    from master.cli.base import table

    made = table("rank", "market", "niche", "score", "interval", "searches", "keywords")
    for one in niches:
        made.add_row(
            one["rank_text"], one["market"], one["label"], f"{one['score']:.0f}",
            f"{one['low']:.0f}-{one['high']:.0f}", f"{one['demand']:,}", str(one["keywords"]),
        )  # fmt: skip
    return made


def _render(run: dict[str, Any]) -> Any:
    from rich.console import Group
    from rich.text import Text

    shown: list[Any] = [f"study {run['id']}: {run['state']}  {run['note'] or ''}"]
    if run["niches"]:
        shown.append(_table(run["niches"]))
        best = max(run["niches"], key=lambda one: one["score"])
        shown.append(f"\n{best['label']} leads because:")
        shown += [Text(f"  {part}: {reason}") for part, reason in best["reasons"].items()]
    if run["state"] == "waiting":
        shown.append("\nA domain for it wants your decision: 'd8 approval list'")
    if (run.get("result") or {}).get("domain"):
        domain = run["result"]["domain"]
        shown.append(Text(f"\ndomain: {domain['state']} {domain.get('name', domain.get('reason', ''))}"))
    shown.append("files: " + ", ".join(sorted(one["name"] for one in run["artifacts"])))
    return Group(*shown)
