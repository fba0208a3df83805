"""Evolution in an environment: a program scores numbers or code."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from master.darwin.engines.breed import Breeding
from master.darwin.engines.choose import make_engine
from master.darwin.engines.code import CodeVariation
from master.darwin.engines.objectives import Objectives
from master.darwin.engines.protocol import Engine, Variation
from master.darwin.engines.steady import Rules
from master.darwin.engines.vector import VectorVariation
from master.darwin.environment import Environment, read_environment
from master.darwin.judges.environment import EnvironmentJudge, environment_needs
from master.darwin.params import EnvironmentParams
from master.darwin.running import Evolved, Setup, evolve
from master.flows import FlowContext, flow
from tasks import darwin_environment
from tasks.errors import InvalidInput


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
    return make_engine(params.engine, variation, rules, snapshot)


def _publish(
    ctx: FlowContext, params: EnvironmentParams, environment: Environment, evolved: Evolved[Any]
) -> dict[str, Any]:
    best = evolved.engine.best()
    tally = evolved.tally
    return {
        "name": params.name or params.filename,
        "best": [
            {
                "id": one.candidate.id,
                "score": one.score,
                "genome": one.candidate.genome,
                "digest": one.candidate.digest,
            }
            for one in best[:20]
        ],
        "cost": {
            "evaluations": tally.told,
            "evaluated": tally.evaluated,
            "failed": tally.failed,
            "cached": tally.cached,
            "micros": tally.micros,
            "busy_s": tally.busy_s,
        },
        "ended": tally.why_closed or "its evaluations are spent",
    }
