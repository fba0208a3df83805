"""Evolution in an environment: a program scores numbers or code."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from master.darwin.engines.breed import Breeding
from master.darwin.engines.choose import make_engine
from master.darwin.engines.cma_es import CmaEs
from master.darwin.engines.code import CodeVariation
from master.darwin.engines.objectives import Objectives
from master.darwin.engines.protocol import Engine, Proposed, Variation, Wish
from master.darwin.engines.rules import Rules
from master.darwin.engines.vector import VectorVariation
from master.darwin.environment import Environment, read_environment
from master.darwin.judges.environment import EnvironmentJudge, environment_needs
from master.darwin.params import EngineName, EnvironmentParams
from master.darwin.running import Evolved, Setup, evolve
from master.darwin.tally import Cost
from master.flows import FlowContext, Handle, flow
from tasks import darwin_environment, darwin_propose
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
