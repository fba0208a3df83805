"""The ``darwin`` flow: evolve an agent on a data set, then say honestly what it gained.

Re-run in every pass from what it carries; all chance comes from the seed and from the recorded order in
which evaluations were told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from master.darwin.agent import agent
from master.darwin.chart import fitness_chart
from master.darwin.engines.breed import Breeding
from master.darwin.engines.choose import make_engine
from master.darwin.engines.protocol import Engine, Standing
from master.darwin.engines.rules import Rules
from master.darwin.genome import space_of
from master.darwin.judges.examples import Critic, ExamplesJudge
from master.darwin.params import ExamplesParams
from master.darwin.preparing import Prepared, corpus_of, prepare
from master.darwin.promote import promote
from master.darwin.reading import load_lineage, load_points, load_scores
from master.darwin.report import Facts, markdown, result
from master.darwin.running import Evolved, Setup, evolve
from master.darwin.split import draw
from master.darwin.variation import TextVariation
from master.flows import FlowContext, flow
from tasks import darwin_evaluate
from tasks.darwin_evaluate import Outcome
from tasks.darwin_genome import Corpus, Genome, Index
from tasks.errors import Unhealthy

#: Shards of held-out examples are asked again so often when examples in them fail.
_ASKED_AT_MOST = 3
Params = ExamplesParams


@flow("darwin", params=ExamplesParams)
def evolve_agent(ctx: FlowContext, params: ExamplesParams) -> dict[str, Any]:
    """Look at everything once, evolve, look once at the held-out examples, report."""
    prepared = _prepared(ctx, params)
    corpus = corpus_of(ctx, prepared)
    variation = TextVariation(space_of(corpus), corpus)
    judge = ExamplesJudge(
        corpus=corpus,
        corpus_sha256=prepared.corpus,
        index_sha256=prepared.index,
        model=prepared.model,
        model_sha256=prepared.model_sha256,
        metric=params.judged_by,
        seed=params.seed,
        learns=bool(params.critic),
    )
    setup: Setup[Genome] = Setup(
        variation=variation,
        judge=judge,
        make_engine=partial(_engine, params=params, prepared=prepared, variation=variation),
        proposers={"reflect": Critic(variation=variation, model=params.critic, seed=params.seed)},
    )
    carried = {"prepared": prepared.model_dump(mode="json")}
    evolved = evolve(ctx, params, setup, carried)
    best, seed = _finalists(evolved)
    answers = _held_out(ctx, params, corpus, judge, [best, seed])
    return _publish(ctx, params, prepared, corpus, evolved, best, seed, answers)


def _prepared(ctx: FlowContext, params: ExamplesParams) -> Prepared:
    found = ctx.carried.get("prepared")
    return Prepared.model_validate(found) if found else prepare(ctx, params)


def _engine(
    snapshot: Mapping[str, Any] | None,
    *,
    params: ExamplesParams,
    prepared: Prepared,
    variation: TextVariation,
) -> Engine[Genome]:
    blocks = prepared.blocks
    rules = Rules(
        seed=params.seed,
        budget=params.budget.evals or (params.budget.generations + 1) * params.population * len(blocks),
        population=params.population,
        blocks=blocks,
        objectives=params.objectives,
        # A text's mutation changes several genes by itself; children of two are often good as they are.
        breeding=Breeding(crossover=0.6, pure_cross=0.3),
        reflect=params.reflect if params.critic else 0.0,
        proposals=params.proposals,
    )
    return make_engine(params.engine, variation, rules, snapshot)


def _finalists(evolved: Evolved[Genome]) -> tuple[Standing[Genome], Standing[Genome]]:
    """The best of all and the best seed. ``Unhealthy`` when there is none."""
    best, first = evolved.engine.best(), evolved.engine.first()
    if not best or not first:
        error = next(iter(evolved.engine.failures.values()), "nothing was asked")
        raise Unhealthy(
            f"no genome was evaluated on all it should answer ({error}): give the evolution more evaluations, or "
            "put right what failed and take it up again with 'd8 darwin resume'"
        )
    return best[0], first[0]


def _held_out(
    ctx: FlowContext,
    params: ExamplesParams,
    corpus: Corpus,
    judge: ExamplesJudge,
    finalists: Sequence[Standing[Genome]],
) -> list[list[Outcome]]:
    """Their answers to examples that no selection saw; both to the same ones."""
    examples = draw(corpus, "held_out", params.held_out, params.seed)
    ctx.progress(0.96, "held-out comparison")
    genomes = {one.candidate.digest: one.candidate.genome for one in finalists}
    asked = {digest: tuple(examples) for digest in genomes}
    answered: dict[str, dict[int, Outcome]] = {digest: {} for digest in genomes}
    for turn in range(_ASKED_AT_MOST):
        handles = [
            (
                digest,
                ctx.start(
                    f"held_out:{turn}:{digest}:{at}",
                    darwin_evaluate.TASK,
                    judge.request(genomes[digest], wanted[at : at + params.shard]),
                    needs=judge.needs,
                ),
            )
            for digest, wanted in asked.items()
            for at in range(0, len(wanted), params.shard)
        ]
        ctx.settle([handle for _, handle in handles])
        for digest, handle in handles:
            answered[digest] |= {one.example: one for one in handle.result().outcomes}
        asked = {
            digest: tuple(example for example in examples if example not in answered[digest])
            for digest in genomes
        }
        if not any(asked.values()):
            break
    both = [example for example in examples if all(example in one for one in answered.values())]
    if not both:
        raise Unhealthy(
            "not one held-out example was answered by both finalists: see the run's steps for the reason, and "
            "take it up again with 'd8 darwin resume'"
        )
    return [[answered[one.candidate.digest][example] for example in both] for one in finalists]


def _publish(
    ctx: FlowContext,
    params: ExamplesParams,
    prepared: Prepared,
    corpus: Corpus,
    evolved: Evolved[Genome],
    best: Standing[Genome],
    seed: Standing[Genome],
    answers: list[list[Outcome]],
) -> dict[str, Any]:
    """Write the report's artifacts and return the run's result, which names them."""
    lineage = ctx.read(partial(load_lineage, run_id=ctx.run_id, number=best.candidate.number))
    numbers = [one.number for one in lineage]
    scores = ctx.read(partial(load_scores, run_id=ctx.run_id, numbers=numbers))
    facts = Facts(
        run=ctx.run_id,
        name=params.name or params.filename,
        seed=params.seed,
        corpus=corpus,
        index=Index.model_validate_json(ctx.read_artifact(prepared.index)),
        metric=params.judged_by.name,
        model=prepared.model,
        model_sha256=prepared.model_sha256,
        best=best,
        best_seed=seed,
        lineage=lineage,
        scores={number: mean for number, (mean, _) in scores.items()},
        held_out_best=answers[0],
        held_out_seed=answers[1],
        tally=evolved.tally,
        ended=evolved.tally.why_closed or "its evaluations are spent",
    )
    found = result(facts)
    points = ctx.read(partial(load_points, run_id=ctx.run_id))
    chart = fitness_chart(f"Evolution of {facts.name}", points)
    files = {
        "agent.json": (agent(facts, found).model_dump_json(indent=2), "application/json"),
        "fitness.svg": (chart, "image/svg+xml"),
        "report.md": (markdown(facts, found), "text/markdown"),
    }
    artifacts = {
        name: ctx.write_artifact(name, text.encode(), media_type)
        for name, (text, media_type) in files.items()
    }
    found["artifacts"] = artifacts
    if params.promote:
        found["promotion"] = promote(ctx, params.promote, found, artifacts["agent.json"])
    ctx.progress(1.0, found["verdict"]["text"])
    return found
