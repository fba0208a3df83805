"""Answering with a text that the model generates: an object, an answer, a number."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.darwin_evaluate import Failure
from tasks.darwin_genome import Corpus, Genome
from tasks.darwin_prompt import prompt_for
from tasks.errors import PermanentFailure
from worker.handlers.context import Context
from worker.handlers.darwin_asking import BATCH, Answer, Shard, frame_of
from worker.models.outcomes import Failed, failed
from worker.models.protocol import Generated, GenerateItem, Grammar, Models

#: A number as people write it; bounded, or a small model would write digits for ever.
_NUMBER = r"-?[0-9]{1,9}(\.[0-9]{1,4})?"
_MOST_CHARACTERS = 20_000


def generate_texts(shard: Shard, context: Context) -> list[Answer | Failure]:
    """Per example of the request, in its order; one that fails costs the others nothing."""
    request = shard.request
    frame = frame_of(shard, context.models)
    items = [
        _item(shard, frame.around(prompt_for(request.genome, shard.corpus, shard.index, at)))
        for at in request.examples
    ]
    found: list[Generated | Failed] = []
    for start in range(0, len(items), BATCH):
        found.extend(_generate_each(context.models, request.model, items[start : start + BATCH]))
        context.progress(len(found) / len(items), f"{len(found)} of {len(items)} examples")
    return [
        Failure(example=example, error=one.message[:4000], transient=one.transient)
        if isinstance(one, Failed)
        else Answer(
            example=example,
            text=one.text.strip()[:_MOST_CHARACTERS],
            prompt_characters=len(item.prompt),
            generated_tokens=one.tokens,
        )
        for example, one, item in zip(request.examples, found, items, strict=True)
    ]


def _generate_each(models: Models, model: str, items: Sequence[GenerateItem]) -> list[Generated | Failed]:
    """Where the model cannot be held to a grammar, its text is taken as it comes."""
    found = _ask(models, model, items)
    again = [
        at
        for at, (one, item) in enumerate(zip(found, items, strict=True))
        if isinstance(one, Failed) and _refuses_grammar(one) and item.grammar.kind != "none"
    ]
    if again:
        free = [items[at].model_copy(update={"grammar": Grammar()}) for at in again]
        for at, one in zip(again, _ask(models, model, free), strict=True):
            found[at] = one
    return found


def _ask(models: Models, model: str, items: Sequence[GenerateItem]) -> list[Generated | Failed]:
    """Together, or where one makes all of them fail, each by itself."""
    try:
        return list(models.generate_each(model, items))
    except PermanentFailure as error:
        if len(items) == 1:
            return [failed(error)]
        return [one for item in items for one in _ask(models, model, [item])]


def _refuses_grammar(one: Failed) -> bool:
    return not one.transient and "grammar" in one.message


def _item(shard: Shard, prompt: str) -> GenerateItem:
    genome, sampling = shard.request.genome, shard.request.genome.sampling
    grammar = grammar_for(shard.corpus) if sampling.constrained else Grammar()
    return GenerateItem(
        prompt=prompt,
        max_new_tokens=sampling.max_new_tokens,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        seed=shard.request.seed,
        stop=() if grammar.kind != "none" else _stops(genome),
        grammar=grammar,
    )


def _stops(genome: Genome) -> tuple[str, ...]:
    """Where the next demonstration would begin; a chat turn ends by itself."""
    return () if genome.chat else tuple(dict.fromkeys((genome.layout.between, "\n\n")))


def grammar_for(corpus: Corpus) -> Grammar:
    """What every right answer satisfies; nothing for free text."""
    if corpus.kind == "extract":
        return Grammar(kind="json_schema", text=corpus.json_schema)
    if corpus.kind == "score":
        return Grammar(kind="regex", text=_NUMBER)
    return Grammar()
