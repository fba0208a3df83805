"""Before an evolution on examples begins: the corpus is divided, embedded and tried, once."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from master.darwin.columns import Reading
from master.darwin.dataset import parse
from master.darwin.genome import seed_genomes, space_of
from master.darwin.judges.examples import ExamplesJudge
from master.darwin.split import blocks, divide, draw
from tasks import darwin_evaluate, darwin_index, darwin_rehearse
from tasks.darwin_genome import Corpus
from tasks.errors import InvalidInput
from tasks.needs import Needs
from tasks.record import Record

if TYPE_CHECKING:
    from master.darwin.params import ExamplesParams
    from master.flows import FlowContext

#: Examples that a first genome answers before there are hundreds.
_TRIED = 2
#: Least mean score that an own metric must give to what is expected.
_RIGHT_AT_LEAST = 0.5
#: Corpora kept in memory, by digest: passes repeat, and reading a large one is most of their cost.
_KEPT = 4
_corpora: OrderedDict[str, Corpus] = OrderedDict()


class Prepared(Record):
    """What every later pass needs to know."""

    #: sha256 of the artifacts.
    corpus: str
    index: str
    #: The model that answers, by reference and by content.
    model: str
    model_sha256: str
    #: The selection examples on which genomes are raced.
    blocks: tuple[tuple[int, ...], ...]


def prepare(ctx: FlowContext, params: ExamplesParams) -> Prepared:
    """Divide, embed, try; ends the pass until that is done. ``InvalidInput`` before any evaluation when
    the data set, the metric or the model cannot be used."""
    data = ctx.read_artifact(params.dataset)
    reading = Reading(
        kind=params.task,
        input=params.input_column,
        expected=params.expected_columns,
        split=params.split_column,
        json_schema=params.json_schema,
    )
    corpus = divide(parse(data, params.filename, reading), params.seed)
    corpus_sha256 = ctx.write_artifact("corpus.json", corpus.model_dump_json().encode(), "application/json")
    ctx.progress(0.0, f"looking at {len(corpus.examples)} examples")
    if params.judged_by.source:
        _rehearse(ctx, params, corpus, corpus_sha256)
    index = ctx.call(
        "index",
        darwin_index.TASK,
        darwin_index.Request(
            corpus=corpus_sha256, model=params.embedding_model or ctx.settings.embedding_model
        ),
    )
    return _try_model(ctx, params, corpus, corpus_sha256, index.index)


def _rehearse(ctx: FlowContext, params: ExamplesParams, corpus: Corpus, corpus_sha256: str) -> None:
    """The owner's metric, on right answers and wrong ones."""
    metric = params.judged_by
    examples = draw(corpus, "selection", 8, params.seed)
    tried = ctx.call(
        "rehearse",
        darwin_rehearse.TASK,
        darwin_rehearse.Request(metric=metric, corpus=corpus_sha256, examples=examples),
        needs=Needs(executor="docker" if metric.source and not metric.trusted else ""),
    )
    if tried.right < _RIGHT_AT_LEAST or tried.right <= tried.wrong:
        raise InvalidInput(
            f"the metric scores the expected answers {tried.right:.2f} and wrong ones {tried.wrong:.2f}: it has to "
            "return numbers near 1 for what is right and lower ones for what is not; correct it and start again"
        )


def _try_model(
    ctx: FlowContext, params: ExamplesParams, corpus: Corpus, corpus_sha256: str, index_sha256: str
) -> Prepared:
    """One genome answers two examples: it shows whether the model is reached, and which one answers."""
    model = params.model or ctx.settings.model
    judge = ExamplesJudge(
        corpus=corpus,
        corpus_sha256=corpus_sha256,
        index_sha256=index_sha256,
        model=model,
        model_sha256="",
        metric=params.judged_by,
        seed=params.seed,
        learns=False,
    )
    genome = seed_genomes(space_of(corpus), 1, params.seed)[0]
    examples = draw(corpus, "selection", _TRIED, params.seed)
    tried = ctx.call("check", darwin_evaluate.TASK, judge.request(genome, examples), needs=judge.needs)
    if not tried.outcomes:
        raise InvalidInput(
            f"not one of the first {len(examples)} examples was answered: {tried.failures[0].error}"
        )
    return Prepared(
        corpus=corpus_sha256,
        index=index_sha256,
        model=model,
        model_sha256=tried.model_sha256,
        blocks=blocks_of(corpus, params.examples, params.shard, params.seed),
    )


def corpus_of(ctx: FlowContext, prepared: Prepared) -> Corpus:
    """The corpus of this run; from memory if this process has had it."""
    found = _corpora.get(prepared.corpus)
    if found is None:
        found = Corpus.model_validate_json(ctx.read_artifact(prepared.corpus))
        _corpora[prepared.corpus] = found
        while len(_corpora) > _KEPT:
            _corpora.popitem(last=False)
    return found


def blocks_of(corpus: Corpus, examples: int, shard: int, seed: int) -> tuple[tuple[int, ...], ...]:
    """The selection examples in blocks of about ``shard``, all of one size."""
    chosen = draw(corpus, "selection", examples, seed)
    count = max(1, round(len(chosen) / shard))
    return blocks(corpus, chosen, len(chosen) // count, seed)
