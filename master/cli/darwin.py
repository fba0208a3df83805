"""``d8 darwin``: evolve agents, numbers or code, and look at what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from master.cli.base import Api

app = typer.Typer(
    help="Evolve agents on examples, or numbers and code in an environment.", no_args_is_help=True
)

Json = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]
Run = Annotated[str, typer.Argument(help="Id of the evolution's run.")]
_FLOWS = ("darwin", "darwin-environment")


@app.command()
def start(
    file: Annotated[
        Path,
        typer.Argument(help="JSONL or CSV with examples; or a Python program with evaluate(genome)."),
    ],
    task: Annotated[str, typer.Option(help="classify, extract, answer or score.")] = "classify",
    metric: Annotated[str, typer.Option(help="A metric's name, or a Python file with metric().")] = "",
    engine: Annotated[str, typer.Option(help="steady, generational, gepa or cma.")] = "steady",
    population: Annotated[int, typer.Option(min=2, max=500, help="First genomes.")] = 8,
    generations: Annotated[
        int, typer.Option(min=0, max=200, help="Times the population, where no --budget-evals is given.")
    ] = 4,
    budget_evals: Annotated[int, typer.Option(min=0, help="Evaluations, exactly.")] = 0,
    budget_eur: Annotated[float, typer.Option(min=0, help="What endpoints may charge; 0: no limit.")] = 0.0,
    until: Annotated[str, typer.Option(help="When to end, such as 2026-12-01T07:00+01:00.")] = "",
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="The same seed, the same evolution.")] = 0,
    parallel: Annotated[int, typer.Option(min=0, max=1000, help="Steps in flight; 0: as slots ask for.")] = 0,
    objectives: Annotated[
        str, typer.Option(help="score, or score,tokens,time for a Pareto front.")
    ] = "score",
    examples: Annotated[int, typer.Option(min=8, max=5000, help="Examples that select.")] = 64,
    shard: Annotated[int, typer.Option(min=1, max=512, help="Examples in one step.")] = 16,
    input_column: Annotated[str, typer.Option("--input", help="Column of the input.")] = "",
    expected: Annotated[list[str] | None, typer.Option(help="Column of what is expected.")] = None,
    split_column: Annotated[str, typer.Option("--split", help="Column of the split.")] = "",
    schema: Annotated[Path | None, typer.Option(help="extract: JSON Schema of the object.")] = None,
    critic: Annotated[str, typer.Option(help="A capable model that rewrites instructions.")] = "",
    proposals: Annotated[
        int,
        typer.Option(min=1, max=64, help="gepa: rewritings at once; as many as there are slots is quickest."),
    ] = 1,
    promote: Annotated[str, typer.Option(help="Ask you to put the best in use under this name.")] = "",
    lot: Annotated[int, typer.Option(min=1, max=256, help="Environment: genomes in one step.")] = 1,
    seconds: Annotated[float, typer.Option(min=0.01, max=3600, help="Environment: for one genome.")] = 60.0,
    trusted: Annotated[bool, typer.Option("--trusted", help="I wrote the program or metric.")] = False,
    repeatable: Annotated[bool, typer.Option("--repeatable", help="Environment: no chance in it.")] = False,
    model: Annotated[str, typer.Option(help="Model reference; the master's default if empty.")] = "",
    name: Annotated[str, typer.Option(help="Title of the report; the file's name if empty.")] = "",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow it to its end.")] = True,
    json_mode: Json = False,
) -> None:
    """Start an evolution."""
    from master.cli.base import connect, emit, messages, start_run
    from master.cli.darwin_files import checked_environment, checked_examples, end_of, metric_of

    shared = {
        "filename": file.name,
        "name": name,
        "engine": engine,
        "population": population,
        "budget": {
            "evals": budget_evals,
            "generations": generations,
            "micros": round(budget_eur * 1_000_000),
            "until": end_of(until),
        },
        "objectives": objectives,
        "seed": seed,
        "parallel": parallel,
    }
    if file.suffix == ".py":
        data = checked_environment(file)
        api = connect()
        digest = api.upload(file.name, data, "text/x-python")
        own = {
            "environment": digest,
            "lot": lot,
            "seconds": seconds,
            "trusted": trusted,
            "repeatable": repeatable,
        }
        run_id = start_run(api, flow="darwin-environment", params={**shared, **own})
    else:
        reading, data = checked_examples(
            file, task, input_column, tuple(expected or ()), split_column, schema, seed
        )
        api = connect()
        media_type = "text/csv" if file.suffix.lower() == ".csv" else "application/jsonl"
        own = {
            **reading,
            "dataset": api.upload(file.name, data, media_type),
            "metric": metric_of(api, metric, task, trusted),
            "examples": examples,
            "shard": shard,
            "model": model,
            "critic": critic,
            "proposals": proposals,
            "promote": promote,
        }
        run_id = start_run(api, flow="darwin", params={**shared, **own})
    if not wait:
        emit(
            {"id": run_id}, json_mode, lambda _: f"evolution {run_id}: 'd8 darwin watch {run_id}' follows it"
        )
        return
    messages().print(f"evolution {run_id}", highlight=False)
    _follow(api, run_id, json_mode, until_waiting=bool(promote))


@app.command()
def watch(run: Run, json_mode: Json = False) -> None:
    """Follow an evolution to its end."""
    from master.cli.base import connect

    api = connect()
    _evolution(api, run)
    _follow(api, run, json_mode, until_waiting=True)


@app.command()
def show(run: Run, json_mode: Json = False) -> None:
    """How an evolution stands: progress, population, cost, and what came of it."""
    from master.cli.base import connect, emit
    from master.cli.darwin_show import render

    emit(_evolution(connect(), run), json_mode, render)


@app.command()
def best(run: Run, json_mode: Json = False) -> None:
    """Print the best genome so far, or at the end, and how good it is."""
    from master.cli.base import connect, emit
    from master.cli.darwin_show import best_of, render_best

    emit(best_of(_evolution(connect(), run)), json_mode, render_best)


@app.command()
def lineage(run: Run, json_mode: Json = False) -> None:
    """Where the best comes from, with what each ancestor changed."""
    from master.cli.base import connect, emit
    from master.cli.darwin_show import render_lineage

    emit(_evolution(connect(), run)["lineage"], json_mode, render_lineage)


@app.command()
def export(
    run: Run,
    file: Annotated[Path, typer.Argument(help="Where to write it, as JSON.")],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write the best as a file, complete with its provenance: an agent with its examples, or the genomes that
    were found in an environment."""
    from master.cli.base import connect, messages
    from master.cli.darwin_files import write_whole
    from tasks.errors import InvalidInput

    api = connect()
    artifacts = _finished(api, run)["result"]["artifacts"]
    # An agent, or what was found in an environment.
    data = api.download(artifacts.get("agent.json") or artifacts["genome.json"])
    if file.exists() and not force:
        raise InvalidInput(f"{file} is there already: name another file, or add --force to replace it")
    write_whole(file, data)
    messages().print(f"wrote {file}", highlight=False)


@app.command()
def stop(run: Run, json_mode: Json = False) -> None:
    """End an evolution with what it has: it asks for nothing more and reports."""
    from urllib.parse import quote

    from master.cli.base import connect, emit

    api = connect()
    _evolution(api, run)
    told = api.post(f"/api/evolutions/{quote(run, safe='')}/stop")
    emit(
        {"id": run, "state": told["state"]},
        json_mode,
        lambda _: f"evolution {run} asks for nothing more: it ends when what is in flight has",
    )


@app.command()
def resume(
    run: Run,
    budget_evals: Annotated[
        int, typer.Option(min=0, help="Evaluations in all, with those of before; 0: as before.")
    ] = 0,
    json_mode: Json = False,
) -> None:
    """Go on: one that failed where it was, one that has ended as a new run that takes up its state."""
    from urllib.parse import quote

    from master.cli.base import connect, emit, start_run
    from tasks.errors import Refused

    api = connect()
    found = _run(api, run)
    if found["state"] == "failed":
        api.post(f"/api/runs/{quote(run, safe='')}/retry")
        emit({"id": run}, json_mode, lambda _: f"evolution {run} goes on where it was")
        return
    if found["state"] != "done":
        raise Refused(
            f"evolution {run} is {found['state']}: one that failed or has ended can be taken up again"
        )
    params = dict(found["params"])
    params["resumes"] = run
    if budget_evals:
        params["budget"] = {**params["budget"], "evals": budget_evals}
    again = start_run(api, flow=found["flow"], params=params)
    emit({"id": again}, json_mode, lambda _: f"evolution {again} goes on where {run} ended")


def _follow(api: Api, run_id: str, json_mode: bool, *, until_waiting: bool) -> None:
    from master.cli.base import emit, follow_run, raise_unless_done
    from master.cli.darwin_show import render

    run = follow_run(api, run_id, until_waiting=until_waiting)
    if run["state"] != "waiting":
        raise_unless_done(run)
    emit(run if json_mode else _evolution(api, run_id), json_mode, render)


def _evolution(api: Api, run_id: str) -> dict[str, Any]:
    from urllib.parse import quote

    found: dict[str, Any] = api.get("/api/evolutions/" + quote(run_id, safe=""))
    return found


def _run(api: Api, run_id: str) -> dict[str, Any]:
    from urllib.parse import quote

    from tasks.errors import NotFound

    run: dict[str, Any] = api.get("/api/runs/" + quote(run_id, safe=""))
    if run["flow"] not in _FLOWS:
        raise NotFound(f"run {run_id} is a {run['flow']} run and no evolution: 'd8 run list' names the runs")
    return run


def _finished(api: Api, run_id: str) -> dict[str, Any]:
    from master.cli.base import raise_unless_done
    from tasks.errors import Refused

    run = _run(api, run_id)
    raise_unless_done(run)
    if run["state"] != "done":
        raise Refused(
            f"evolution {run_id} is {run['state']} and its best is not final yet: "
            f"'d8 darwin show {run_id}' shows how far it is"
        )
    return run
