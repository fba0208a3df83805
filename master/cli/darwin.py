"""``d8 darwin``: evolve an agent on labeled examples, and look at what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from master.cli.base import Api

app = typer.Typer(help="Evolve agents on labeled examples.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]
Run = Annotated[str, typer.Argument(help="Id of the evolution's run.")]


@app.command()
def start(
    dataset: Annotated[
        Path, typer.Argument(help="JSONL with input and expected on each line, or CSV with these columns.")
    ],
    generations: Annotated[int, typer.Option(min=0, max=200, help="How often to breed.")] = 4,
    population: Annotated[int, typer.Option(min=3, max=200, help="Genomes in each generation.")] = 8,
    examples: Annotated[int, typer.Option(min=8, max=2000, help="Examples that select.")] = 42,
    shard: Annotated[int, typer.Option(min=1, max=512, help="Examples in one step.")] = 21,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="The same seed, the same evolution.")] = 0,
    model: Annotated[str, typer.Option(help="Model reference; the master's default if empty.")] = "",
    name: Annotated[str, typer.Option(help="Title of the report; the file's name if empty.")] = "",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow it to its end.")] = True,
    json_mode: Json = False,
) -> None:
    """Start an evolution."""
    from master.cli.base import connect, emit, follow_run, messages, raise_unless_done, start_run

    data = _checked(dataset, seed)
    api = connect()
    media_type = "text/csv" if dataset.suffix.lower() == ".csv" else "application/jsonl"
    params = {
        "dataset": api.upload(dataset.name, data, media_type),
        "filename": dataset.name,
        "name": name,
        "generations": generations,
        "population": population,
        "examples": examples,
        "shard": shard,
        "seed": seed,
        "model": model,
    }
    run_id = start_run(api, flow="darwin", params=params)
    if not wait:
        emit({"id": run_id}, json_mode, lambda _: f"evolution {run_id}: 'd8 darwin show {run_id}' shows it")
        return
    messages().print(f"evolution {run_id}", highlight=False, markup=False)
    run = follow_run(api, run_id, until_waiting=False)
    raise_unless_done(run)
    emit(run, json_mode, _render_run)


@app.command()
def best(run: Run, json_mode: Json = False) -> None:
    """Print the best genome's prompt, and how good it is."""
    from master.cli.base import connect, emit

    found = _finished(connect(), run)["result"]
    emit(
        {**found["best"], "held_out": found["held_out"], "verdict": found["verdict"]}, json_mode, _render_best
    )


@app.command()
def show(run: Run, json_mode: Json = False) -> None:
    """Show an evolution: generations, lineage of the best, held-out comparison."""
    from master.cli.base import connect, emit

    emit(_darwin_run(connect(), run), json_mode, _render_run)


@app.command()
def export(
    run: Run,
    file: Annotated[Path, typer.Argument(help="Where to write the agent, as JSON.")],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write the best genome as an agent file, complete with its examples and its provenance."""
    from master.cli.base import connect, messages
    from tasks.errors import InvalidInput

    api = connect()
    data = api.download(_finished(api, run)["result"]["artifacts"]["agent.json"])
    if file.exists() and not force:
        raise InvalidInput(f"{file} is there already: name another file, or add --force to replace it")
    _write_whole(file, data)
    messages().print(f"wrote {file}", highlight=False, markup=False)


def _checked(path: Path, seed: int) -> bytes:
    """The data set's bytes, after the same checks that the run will make. ``InvalidInput``."""
    from master.darwin.dataset import MAX_BYTES, parse
    from master.darwin.split import divide
    from tasks.errors import InvalidInput

    try:
        with path.open("rb") as file:
            # One byte more than is allowed shows that there are too many, even of an endless device.
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be read ({error.strerror}): give the path of a JSONL or CSV file"
        ) from None
    divide(parse(data, str(path)), seed)
    return data


def _write_whole(path: Path, data: bytes) -> None:
    """The file whole or not at all. ``InvalidInput`` if it cannot be written."""
    import os
    import tempfile

    from tasks.errors import InvalidInput

    try:
        handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(scratch, path)
        except OSError:
            Path(scratch).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be written ({error.strerror}): name a file in a folder that is there, on a disk "
            "with room"
        ) from None


def _darwin_run(api: Api, run_id: str) -> dict[str, Any]:
    from urllib.parse import quote

    from tasks.errors import NotFound

    run: dict[str, Any] = api.get("/api/runs/" + quote(run_id, safe=""))
    if run["flow"] != "darwin":
        raise NotFound(f"run {run_id} is a {run['flow']} run and no evolution: 'd8 run list' names the runs")
    return run


def _finished(api: Api, run_id: str) -> dict[str, Any]:
    from master.cli.base import raise_unless_done
    from tasks.errors import Refused

    run = _darwin_run(api, run_id)
    raise_unless_done(run)
    if run["state"] != "done":
        raise Refused(
            f"evolution {run_id} is {run['state']} and has no best genome yet: "
            f"'d8 run show {run_id}' shows how far it is"
        )
    return run


def _render_best(best: dict[str, Any]) -> Text:
    from rich.text import Text

    return Text(f"{best['prompt']}\n\n{best['verdict']['text']}")


def _render_run(run: dict[str, Any]) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    found = run["result"]
    if run["state"] != "done":
        return Text(f"evolution {run['id']} is {run['state']}: {run['error'] or run['note']}")
    return Group(
        Text(found["verdict"]["text"], style="bold"),
        Text(""),
        _generations(found),
        Text(""),
        _lineage(found),
        Text(f"\nThe best genome, {found['best']['id']}, asks:\n", style="bold"),
        Text(found["best"]["prompt"]),
        Text(
            f"\n{found['cost']['genomes']} genomes, {found['cost']['answers']} answers, "
            f"{found['cost']['prompt_tokens']} prompt tokens. Report: report.md, chart: fitness.svg; "
            f"'d8 darwin export {run['id']} FILE' writes the agent."
        ),
    )


def _generations(found: dict[str, Any]) -> RenderableType:
    from master.cli.base import table

    made = table("generation", "evaluated", "failed", "best", "mean", "worst", "")
    for one in found["generations"]:
        bar = "█" * round(20 * one["best"])
        shares = (f"{one[key]:.0%}" for key in ("best", "mean", "worst"))
        made.add_row(str(one["generation"]), str(one["evaluated"]), str(len(one["failed"])), *shares, bar)
    return made


def _lineage(found: dict[str, Any]) -> RenderableType:
    from master.cli.base import table

    made = table("lineage", "made by", "from", "accuracy in selection")
    for one in found["lineage"]:
        made.add_row(
            one["id"], ", ".join(one["operators"]), ", ".join(one["parents"]) or "-", f"{one['accuracy']:.0%}"
        )
    return made
