"""Evolution in an environment: a program scores numbers or code."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from functools import partial
from typing import Any

from master.darwin.chart import fitness_chart
from master.darwin.engines.breed import Breeding
from master.darwin.engines.choose import make_engine
from master.darwin.engines.cma_es import CmaEs
from master.darwin.engines.code import CodeVariation
from master.darwin.engines.objectives import Objectives
from master.darwin.engines.protocol import Engine, Proposed, Variation, Wish
from master.darwin.engines.rules import Rules
from master.darwin.engines.vector import VectorVariation
from master.darwin.environment import Environment, read_environment
from master.darwin.found import Found, Scored
from master.darwin.judges.environment import EnvironmentJudge, environment_needs
from master.darwin.params import EngineName, EnvironmentParams
from master.darwin.reading import load_lineage, load_points
from master.darwin.running import Evolved, Setup, evolve
from master.darwin.tally import Cost
from master.flows import FlowContext, Handle, flow
from tasks import darwin_environment, darwin_propose
from tasks.errors import InvalidInput

#: Genomes that a result has, at most; a front may have as many as the population.
_SHOWN = 20


@flow("darwin-environment", params=EnvironmentParams)
def evolve_in_environment(ctx: FlowContext, params: EnvironmentParams) -> dict[str, Any]:
    """A first look at the program, then evolution, then the best genome."""
    environment = _environment(ctx, params.environment, params.filename)
    setup = _setup(params, environment)
    if "checked" not in ctx.carried:
        _check(ctx, params, environment, setup)
    evolved = evolve(ctx, params, setup, {"checked": True})
    return _publish(ctx, params, environment, evolved)


def _check(ctx: FlowContext, params: EnvironmentParams, environment: Environment, setup: Setup[Any]) -> None:
    """One genome, before there are hundreds: a program that cannot score it costs one step."""
    seed = setup.variation.seeds(params.population, params.seed)[0]
    judge = setup.judge
    assert isinstance(judge, EnvironmentJudge)
    result = ctx.call(
        "check",
        darwin_environment.TASK,
        judge.request([setup.variation.dump(seed)]),
        needs=environment_needs(params.trusted),
    )
    if error := result.outcomes[0].error:
        raise InvalidInput(
            f"{params.filename} cannot score its first genome: {error}. Correct evaluate, and start again"
        )


def _environment(ctx: FlowContext, digest: str, filename: str) -> Environment:
    return read_environment(ctx.read_artifact(digest), filename)


def _setup(params: EnvironmentParams, environment: Environment) -> Setup[Any]:
    variation = variation_of(environment)
    judge = EnvironmentJudge(
        variation=variation,
        environment=environment,
        program=params.environment,
        lot=params.lot,
        seconds=params.seconds,
        trusted=params.trusted,
        repeatable=params.repeatable,
    )
    return Setup(
        variation=variation,
        judge=judge,
        proposers={"cma": CmaProposer()},
        make_engine=functools.partial(_engine, params=params, variation=variation, environment=environment),
    )


def variation_of(environment: Environment) -> Variation[Any]:
    """What can be done with this environment's genomes."""
    if environment.genomes.kind == "vector":
        return VectorVariation(environment.genomes.space)
    return CodeVariation(environment.genomes.seeds)


def _engine(
    snapshot: Mapping[str, Any] | None,
    *,
    params: EnvironmentParams,
    variation: Variation[Any],
    environment: Environment,
) -> Engine[Any]:
    rules = Rules(
        seed=params.seed,
        budget=params.budget.evals or (params.budget.generations + 1) * params.population,
        population=params.population,
        objectives=Objectives.GIVEN if len(environment.goals) > 1 else params.objectives,
        breeding=Breeding(),
    )
    if params.engine is not EngineName.CMA:
        return make_engine(params.engine, variation, rules, snapshot)
    if not isinstance(variation, VectorVariation) or variation.space.whole or variation.space.size < 2:
        raise InvalidInput(
            f"CMA-ES works on two real numbers or more: {params.filename} has other genomes; take steady"
        )
    if snapshot is None:
        return CmaEs(variation, rules, params.sigma)
    return CmaEs.restore(variation, rules, params.sigma, snapshot)


class CmaProposer:
    """``master.darwin.judging.Proposer``: the next generation comes from a worker, which has the library."""

    def start(self, ctx: FlowContext, key: str, wish: Wish) -> Handle[Any]:
        return ctx.start(key, darwin_propose.TASK, darwin_propose.Request.model_validate(wish.request))

    def recall(self, ctx: FlowContext, key: str) -> Handle[Any]:
        return ctx.recall(key, darwin_propose.TASK)

    def read(self, handle: Handle[Any], wish: Wish) -> tuple[Proposed, Cost]:
        result: darwin_propose.Result = handle.result()
        return Proposed(genomes=result.vectors, note={"stopped": result.stopped}), Cost()


def _publish(
    ctx: FlowContext, params: EnvironmentParams, environment: Environment, evolved: Evolved[Any]
) -> dict[str, Any]:
    tally = evolved.tally
    name = params.name or params.filename
    best = tuple(
        Scored(
            id=one.candidate.id,
            digest=one.candidate.digest,
            genome=one.candidate.genome,
            score=one.score,
        )
        for one in evolved.engine.best()[:_SHOWN]
    )
    return {
        "name": name,
        "best": [one.model_dump(mode="json") for one in best],
        "cost": {
            "evaluations": tally.told,
            "evaluated": tally.evaluated,
            "failed": tally.failed,
            "cached": tally.cached,
            "micros": tally.micros,
            "busy_s": tally.busy_s,
        },
        "ended": tally.why_closed or "its evaluations are spent",
        "artifacts": _write(ctx, params, environment, name, best),
    }


def _write(
    ctx: FlowContext, params: EnvironmentParams, environment: Environment, name: str, best: tuple[Scored, ...]
) -> dict[str, str]:
    """The file of what was found, and its picture; their digests by name."""
    number = int(best[0].id.removeprefix("c")) if best else 0
    lineage = ctx.read(partial(load_lineage, run_id=ctx.run_id, number=number)) if best else []
    found = Found(
        name=name,
        kind=environment.genomes.kind,
        goals=environment.goals,
        best=best,
        provenance={
            "run": ctx.run_id,
            "engine": str(params.engine),
            "seed": params.seed,
            "environment_sha256": params.environment,
            "lineage": [
                {"id": f"c{one.number}", "parents": one.parents, "operators": one.operators}
                for one in lineage
            ],
        },
    )
    points = ctx.read(partial(load_points, run_id=ctx.run_id))
    files = {
        "genome.json": (found.model_dump_json(indent=2), "application/json"),
        "fitness.svg": (fitness_chart(f"Evolution of {name}", points), "image/svg+xml"),
    }
    return {
        name: ctx.write_artifact(name, text.encode(), media_type)
        for name, (text, media_type) in files.items()
    }
