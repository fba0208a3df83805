"""What becomes of a shard when some of its examples go wrong, or a model cannot do what it is asked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tasks.darwin_evaluate import Request, Result, cache_key
from tasks.darwin_genome import Corpus, Demonstrations, Example, Genome, Index, Layout, Sampling
from tasks.darwin_metrics import Metric
from tasks.darwin_prompt import prompt_for
from tasks.errors import PermanentFailure, TransientFailure
from worker.handlers import darwin_evaluate
from worker.models.outcomes import Failed, Outcome, Rejected
from worker.models.protocol import Generated, GenerateItem, Scored, ScoreItem, Usage

SCHEMA = '{"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}'
CORPUS = Corpus(
    kind="extract",
    json_schema=SCHEMA,
    examples=tuple(
        Example(input=f"text {at}", expected=f'{{"n": {at}}}', split="selection") for at in range(4)
    ),
)
LABELS = Corpus(
    labels=("no", "yes"),
    examples=tuple(Example(input=f"text {at}", expected="yes", split="selection") for at in range(4)),
)

Write = Callable[[GenerateItem], Generated | Failed]


def number_of(item: GenerateItem | ScoreItem) -> int:
    return int(item.prompt.split("text ")[1][0])


def copies(item: GenerateItem) -> Generated:
    return Generated(text=f' {{"n": {number_of(item)}}}', tokens=5, finish="stop")


class Models:
    def __init__(self, write: Write = copies, broken: int = -1) -> None:
        self.asked: list[GenerateItem] = []
        self._write = write
        self._broken = broken
        self.usage = Usage()

    def generate_each(self, model: str, items: Sequence[GenerateItem]) -> list[Generated | Failed]:
        self.asked.extend(items)
        return [self._write(item) for item in items]

    def score(self, model: str, items: Sequence[ScoreItem]) -> list[Scored]:
        if any(number_of(item) == self._broken for item in items):
            raise PermanentFailure("too long")
        return [Scored(logprobs=(-2.0, -1.0), tokens=(1, 1)) for _ in items]

    def describe(self, model: str) -> dict[str, str]:
        return {"model": "m", "sha256": "f" * 64, "dtype": "float32"}


class Context:
    attempt, worker = 1, "w"

    def __init__(self, models: Any) -> None:
        self.models = models
        self.artifacts: dict[str, bytes] = {}

    def progress(self, fraction: float, note: str = "") -> None:
        pass

    def read_artifact(self, digest: str) -> bytes:
        return self.artifacts[digest]

    def write_artifact(self, name: str, data: bytes, media_type: str = "") -> str:
        digest = hashlib.sha256(data).hexdigest()
        self.artifacts[digest] = data
        return digest


def evaluate(models: Models, corpus: Corpus = CORPUS, **genes: Any) -> Result:
    context = Context(models)
    return darwin_evaluate.handle(request(context, corpus, **genes), context)


def request(context: Context, corpus: Corpus, **genes: Any) -> Request:
    index = Index(neighbors=((),) * len(corpus.examples))
    return Request(
        genome=Genome(label_words=corpus.labels, **genes),
        corpus=context.write_artifact("corpus", corpus.model_dump_json().encode()),
        index=context.write_artifact("index", index.model_dump_json().encode()),
        examples=(0, 1, 2, 3),
        metric=Metric(name="json_fields" if corpus.kind == "extract" else "accuracy"),
        seed=9,
    )


def failing(number: int, transient: bool) -> Write:
    def write(item: GenerateItem) -> Generated | Failed:
        if number_of(item) == number or number < 0:
            return Failed(outcome=Outcome.FAILED, transient=transient, message="out of memory")
        return copies(item)

    return write


def test_texts_are_asked_for_as_the_genome_says() -> None:
    models = Models()
    found = evaluate(models, sampling=Sampling(temperature=0.5, top_p=0.9, max_new_tokens=30))

    asked = models.asked[0]
    assert (asked.temperature, asked.top_p, asked.max_new_tokens, asked.seed) == (0.5, 0.9, 30, 9)
    assert (asked.grammar.kind, json.loads(asked.grammar.text)) == ("json_schema", json.loads(SCHEMA))
    assert (found.model_sha256, found.seed) == ("f" * 64, 9)
    assert [one.score for one in found.outcomes] == [1.0] * 4
    assert [one.answer for one in found.outcomes][1] == '{"n": 1}'
    assert all(one.tokens == one.prompt_characters // 4 + 5 for one in found.outcomes)


def test_one_failed_example_fails_by_itself_and_has_no_score() -> None:
    found = evaluate(Models(failing(2, transient=True)))

    assert [one.example for one in found.outcomes] == [0, 1, 3]
    assert [(one.example, one.transient, one.error) for one in found.failures] == [(2, True, "out of memory")]


def test_a_shard_of_which_nothing_was_answered_is_tried_again_as_a_whole() -> None:
    with pytest.raises(TransientFailure, match="not one of 4 examples was answered: out of memory"):
        evaluate(Models(failing(-1, transient=True)))


def test_a_shard_that_fails_for_good_says_so_of_each_example() -> None:
    found = evaluate(Models(failing(-1, transient=False)))

    assert found.outcomes == ()
    assert [one.transient for one in found.failures] == [False] * 4


def test_a_model_that_follows_no_grammar_is_asked_without_one() -> None:
    def refuses(item: GenerateItem) -> Generated | Failed:
        if item.grammar.kind != "none":
            return Failed(outcome=Outcome.REJECTED, transient=False, message="it has no grammar")
        return copies(item)

    models = Models(refuses)

    assert [one.score for one in evaluate(models).outcomes] == [1.0] * 4
    assert [one.grammar.kind for one in models.asked] == ["json_schema"] * 4 + ["none"] * 4


def test_a_request_that_is_refused_as_a_whole_is_made_example_by_example() -> None:
    class Strict(Models):
        def generate_each(self, model: str, items: Sequence[GenerateItem]) -> list[Generated | Failed]:
            if any(number_of(item) == 3 for item in items):
                raise Rejected("text 3 is too long")
            return super().generate_each(model, items)

    found = evaluate(Strict())
    assert [one.example for one in found.outcomes] == [0, 1, 2]
    assert found.failures[0].error == "text 3 is too long"


def test_one_label_that_cannot_be_weighed_leaves_the_others() -> None:
    found = evaluate(Models(broken=1), LABELS)

    assert [one.example for one in found.outcomes] == [0, 2, 3]
    assert [(one.example, one.error, one.transient) for one in found.failures] == [(1, "too long", False)]


def test_a_metric_of_another_kind_of_task_is_refused() -> None:
    context = Context(Models())
    wrong = request(context, CORPUS).model_copy(update={"metric": Metric(name="closeness")})

    with pytest.raises(
        PermanentFailure, match="'closeness' does not fit the task 'extract': use json_fields"
    ):
        darwin_evaluate.handle(wrong, context)


def test_segments_stand_in_the_genomes_order_and_know_fields_and_range() -> None:
    genome = Genome(
        role="R",
        instruction="I {fields}",
        format="F",
        order=("format", "examples", "instruction", "role"),
        layout=Layout(before_input="> ", before_label=" =", between="\n"),
        demonstrations=Demonstrations(fixed=(1,)),
    )
    prompt = prompt_for(genome, CORPUS, Index(neighbors=((),) * 4), 0)

    assert prompt.text == 'F\n> text 1 = {"n": 1}\nI n\nR\n> text 0 ='
    assert prompt.head + prompt.shared == 'F\n> text 1 = {"n": 1}\n'


def test_an_outcome_is_named_by_all_that_it_depends_on() -> None:
    context = Context(Models())
    base = request(context, CORPUS)
    other_genome = base.genome.model_copy(update={"role": "x"})
    variants = [
        cache_key(base, 0, "a" * 64),
        cache_key(base, 1, "a" * 64),
        cache_key(base, 0, "b" * 64),
        *(
            cache_key(base.model_copy(update=change), 0, "a" * 64)
            for change in (
                {"genome": other_genome},
                {"seed": 1},
                {"corpus": "c" * 64},
                {"index": "c" * 64},
                {"metric": Metric(name="exact_match")},
            )
        ),
    ]

    assert len(set(variants)) == len(variants)
    # Which other examples are asked beside it, and how the model is called, does not matter.
    assert cache_key(base.model_copy(update={"examples": (0,), "model": "n"}), 0, "a" * 64) == variants[0]
