"""The ``darwin`` flow: evolve a classifying agent on a labeled data set, then say honestly what it gained.

Re-run from the top in every pass; all chance comes from the seed, all evaluations from recorded
steps.
"""

from __future__ import annotations

import functools
from typing import Any

from pydantic import Field

from master.darwin.agent import agent
from master.darwin.arena import Arena
from master.darwin.chart import fitness_chart
from master.darwin.dataset import parse
from master.darwin.engine import Rules, breed
from master.darwin.genome import seed_population, space_of
from master.darwin.history import HeldOut, History
from master.darwin.report import Facts, markdown, result
from master.darwin.split import divide, draw
from master.flows import FlowContext, flow
from tasks import darwin_index
from tasks.darwin_genome import Corpus, Index
from tasks.errors import Unhealthy
from tasks.record import Record


class Params(Record):
    #: sha256 of the data set's artifact: JSONL, or CSV if ``filename`` ends so.
    dataset: str = Field(min_length=64, max_length=64)
    #: The file's own name: for errors and titles.
    filename: str = Field(default="dataset.jsonl", min_length=1, max_length=200)
    name: str = Field(default="", max_length=100)
    population: int = Field(default=8, ge=3, le=200)
    #: How often the population is bred; 0 only evaluates the seeds.
    generations: int = Field(default=4, ge=0, le=200)
    #: Selection examples that every genome answers; fewer if the data set has fewer.
    examples: int = Field(default=42, ge=8, le=2000)
    #: Held-out examples answered at the end, at most.
    held_out: int = Field(default=200, ge=8, le=5000)
    #: Examples per step. A genome's shards run beside one another.
    shard: int = Field(default=21, ge=1, le=512)
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    #: Model references; "" means the fleet's settings.
    model: str = Field(default="", max_length=300)
    embedding_model: str = Field(default="", max_length=300)


@flow("darwin", params=Params)
def evolve(ctx: FlowContext, params: Params) -> dict[str, Any]:
    """Seeds, ``generations`` times breeding, one look at the held-out examples."""
    corpus = _corpus(ctx.read_artifact(params.dataset), params.filename, params.seed)
    corpus_sha256 = ctx.write_artifact("corpus.json", corpus.model_dump_json().encode(), "application/json")
    ctx.progress(0.0, f"embedding {len(corpus.examples)} examples")
    index = ctx.call(
        "index",
        darwin_index.TASK,
        darwin_index.Request(
            corpus=corpus_sha256, model=params.embedding_model or ctx.settings.embedding_model
        ),
    )
    arena = Arena(
        ctx=ctx,
        corpus=corpus_sha256,
        index=index.index,
        model=params.model or ctx.settings.model,
        shard=params.shard,
    )
    history = _evolve(ctx, params, corpus, arena)
    held_out = _held_out(ctx, params, corpus, arena, history)
    sample = Index.model_validate_json(ctx.read_artifact(index.index))
    return _publish(ctx, params, corpus, sample, history, held_out, arena)


@functools.lru_cache(maxsize=4)
def _corpus(data: bytes, filename: str, seed: int) -> Corpus:
    # Passes repeat; reading a large file again in each would be most of their cost.
    return divide(parse(data, filename), seed)


def _evolve(ctx: FlowContext, params: Params, corpus: Corpus, arena: Arena) -> History:
    """All generations, or the pass ends in the first one that is not answered yet."""
    space = space_of(corpus)
    rules = Rules(population=params.population, seed=params.seed)
    examples = draw(corpus, "selection", params.examples, params.seed)
    population = seed_population(space, params.population, params.seed)
    history = History(generations=())
    for number in range(params.generations + 1):
        if number:
            population = breed(history.ranked, arena.tried, number, space, rules)
        fraction = number / (params.generations + 2)
        generation = arena.evaluate_generation(number, population, examples, fraction, _standing(history))
        history = History(generations=(*history.generations, generation))
        _require_one(history)
    return history


def _standing(history: History) -> str:
    if not history.generations:
        return "the seeds"
    best, seed = history.best.evaluation, history.best_seed.evaluation
    return f"best so far {best.accuracy:.0%}, best seed {seed.accuracy:.0%}"


def _require_one(history: History) -> None:
    seeds = history.generations[0]
    if not seeds.ranked:
        name, error = next(iter(seeds.failed.items()))
        raise Unhealthy(
            f"not one of the {len(seeds.individuals)} genomes of generation 0 could be evaluated. "
            f"The first failure, of {name}: {error}. Put that right (do the workers reach the model?) and "
            "start the run again"
        )


def _held_out(ctx: FlowContext, params: Params, corpus: Corpus, arena: Arena, history: History) -> HeldOut:
    """Best seed and best of all on examples that no selection saw. Raises ``StepFailed``."""
    examples = draw(corpus, "held_out", params.held_out, params.seed)
    ctx.progress((params.generations + 1) / (params.generations + 2), "held-out comparison")
    finalists = {one.individual.digest: one.individual for one in (history.best_seed, history.best)}
    started = {
        digest: arena.start(individual, examples, "held_out") for digest, individual in finalists.items()
    }
    answers = {digest: arena.collect(handles, examples) for digest, handles in started.items()}
    return HeldOut(
        seed=answers[history.best_seed.individual.digest], best=answers[history.best.individual.digest]
    )


def _publish(
    ctx: FlowContext,
    params: Params,
    corpus: Corpus,
    index: Index,
    history: History,
    held_out: HeldOut,
    arena: Arena,
) -> dict[str, Any]:
    """Write the report's artifacts and return the run's result, which names them."""
    facts = Facts(
        run=ctx.run_id,
        name=params.name or params.filename,
        seed=params.seed,
        corpus=corpus,
        index=index,
        history=history,
        held_out=held_out,
        fleet=arena.fleet(),
    )
    found = result(facts)
    ctx.progress(1.0, found["verdict"]["text"])
    chart = ctx.write_artifact("fitness.svg", fitness_chart(facts).encode(), "image/svg+xml")
    report = ctx.write_artifact("report.md", markdown(facts, found).encode(), "text/markdown")
    best = agent(facts, found).model_dump_json(indent=2)
    exported = ctx.write_artifact("agent.json", best.encode(), "application/json")
    return {**found, "artifacts": {"agent.json": exported, "fitness.svg": chart, "report.md": report}}
