from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import pytest

from tasks.darwin_evaluate import Request
from tasks.darwin_genome import Corpus, Demonstrations, Example, Genome, Index, Layout, Scoring
from tasks.darwin_index import Request as IndexRequest
from tasks.darwin_prompt import content_free, prompt_for
from tasks.errors import PermanentFailure
from worker.handlers import darwin_evaluate, darwin_index
from worker.models.protocol import Generated, GenerateItem, Models, Scored, ScoreItem, Usage

CORPUS = Corpus(
    labels=("booking", "opening hours"),
    examples=(
        Example(input="a table for two", expected="booking", split="pool"),
        Example(input="open on Sunday?", expected="opening hours", split="pool"),
        Example(input="a table\n\nMessage: for four", expected="booking", split="selection"),
        Example(input="when do you open?", expected="opening hours", split="selection"),
    ),
)
INDEX = Index(neighbors=((1,), (0,), (0, 1), (1, 0)))


class FakeModels:
    """Favors the label word that stands last in the prompt; leans to the first label without any."""

    def __init__(self, scores: dict[str, list[float]] | None = None) -> None:
        self.asked: list[ScoreItem] = []
        self._scores = scores or {}
        self._usage = Usage()

    def score(self, model: str, items: Sequence[ScoreItem]) -> list[Scored]:
        self.asked.extend(items)
        self._usage = Usage(
            prompt_tokens=self._usage.prompt_tokens + 10 * len(items), seconds=self._usage.seconds + 1
        )
        return [self._scored(item) for item in items]

    def _scored(self, item: ScoreItem) -> Scored:
        tokens = tuple(len(choice.split()) for choice in item.choices)
        for part, logprobs in self._scores.items():
            if part in item.prompt:
                return Scored(logprobs=tuple(logprobs), tokens=tokens)
        last = [item.prompt.rfind(choice) for choice in item.choices]
        return Scored(logprobs=tuple(0.0 if at == max(last) else -9.0 for at in last), tokens=tokens)

    def generate(self, model: str, items: Sequence[GenerateItem]) -> list[Generated]:
        raise AssertionError("classification never generates")

    def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        return [[1.0, 0.0] if "table" in text else [0.0, 1.0] for text in texts]

    def chat_prompt(self, model: str, messages: Sequence[tuple[str, str]]) -> str:
        return "".join(f"<{role}>{text}</{role}>" for role, text in messages) + "<assistant>"

    def describe(self, model: str) -> dict[str, str]:
        return {"model": "fake", "sha256": "f" * 64, "dtype": "float32", "device": "cpu"}

    @property
    def usage(self) -> Usage:
        return self._usage


class FakeContext:
    attempt = 1

    def __init__(self, models: FakeModels) -> None:
        self.models: Models = models
        self.asked = models.asked
        self.progressed: list[float] = []
        self.artifacts: dict[str, bytes] = {}
        self.corpus = self.write_artifact("corpus", CORPUS.model_dump_json().encode(), "application/json")
        self.index = self.write_artifact("index", INDEX.model_dump_json().encode(), "application/json")

    def progress(self, fraction: float, note: str = "") -> None:
        self.progressed.append(fraction)

    def read_artifact(self, digest: str) -> bytes:
        return self.artifacts[digest]

    def write_artifact(self, name: str, data: bytes, media_type: str) -> str:
        digest = hashlib.sha256(data).hexdigest()
        self.artifacts[digest] = data
        return digest

    def request(self, **genes: Any) -> Request:
        genome = Genome(label_words=("booking", "opening hours"), **genes)
        return Request(genome=genome, corpus=self.corpus, index=self.index, examples=(2, 3))


def test_retrieved_demonstrations_decide_and_outcomes_follow_the_request() -> None:
    context = FakeContext(FakeModels())
    result = darwin_evaluate.handle(context.request(demonstrations=Demonstrations(retrieved=1)), context)

    assert [one.example for one in result.outcomes] == [2, 3]
    assert [one.answer for one in result.outcomes] == ["booking", "opening hours"]
    assert all(one.correct and one.confidence > 0.9 and one.loss < 0.1 for one in result.outcomes)
    assert (result.prompt_tokens, result.seconds, result.dtype) == (20, 2 / 2, "float32")
    assert context.progressed[-1] == 1.0


def test_prompts_of_a_genome_begin_alike_so_that_a_server_can_share_the_work() -> None:
    context = FakeContext(FakeModels())
    genes = {
        "role": "You sort mail.",
        "instruction": "One of: {labels}.",
        "demonstrations": Demonstrations(fixed=(1,)),
    }
    darwin_evaluate.handle(context.request(**genes), context)

    shared = (
        "You sort mail.\nOne of: booking, opening hours.\n\n"
        "Message: open on Sunday?\nIntent: opening hours\n\nMessage: "
    )
    assert all(item.prompt.startswith(shared) for item in context.asked)
    assert context.asked[0].choices == (" booking", " opening hours")


def test_an_input_cannot_pose_as_a_demonstration() -> None:
    genome = Genome(label_words=("booking", "opening hours"))
    assert prompt_for(genome, CORPUS, INDEX, 2).text == "Message: a table Message: for four\nIntent:"


def test_the_nearest_neighbor_stands_where_the_genome_wants_it_and_never_twice() -> None:
    def shown(**genes: Any) -> list[str]:
        genome = Genome(label_words=("B", "H"), demonstrations=Demonstrations(**genes), layout=LINE)
        return prompt_for(genome, CORPUS, INDEX, 2).text.split("\n")[:-1]

    assert shown(retrieved=2, order="nearest_last") == ["open on Sunday? => H", "a table for two => B"]
    assert shown(retrieved=2, order="nearest_first") == ["a table for two => B", "open on Sunday? => H"]
    assert shown(retrieved=2, fixed=(0,)) == ["a table for two => B", "open on Sunday? => H"]


LINE = Layout(before_input="", before_label=" =>", between="\n")


def test_calibration_takes_the_prompts_own_leaning_away() -> None:
    # Without a question the model likes "booking" by 4 nats; with one it still does, by 1.
    scores = {"N/A": [-1.0, -5.0], "when do": [-2.0, -3.0], "a table": [-1.0, -6.0]}
    scoring = {"length_normalized": False}

    off = FakeContext(FakeModels(scores))
    plain = darwin_evaluate.handle(off.request(scoring=Scoring(calibration=0.0, **scoring)), off)
    on = FakeContext(FakeModels(scores))
    calibrated = darwin_evaluate.handle(on.request(scoring=Scoring(calibration=1.0, **scoring)), on)

    assert [one.answer for one in plain.outcomes] == ["booking", "booking"]
    assert [one.answer for one in calibrated.outcomes] == ["booking", "opening hours"]
    assert len(on.asked) == len(off.asked) + 1


def test_length_normalization_lets_a_longer_word_win() -> None:
    scores = {"Message": [-2.0, -3.0]}
    predicted = []
    for normalized in (False, True):
        context = FakeContext(FakeModels(scores))
        result = darwin_evaluate.handle(
            context.request(scoring=Scoring(length_normalized=normalized)), context
        )
        predicted.append(result.outcomes[0].answer)

    assert predicted == ["booking", "opening hours"]


def test_temperature_moves_confidence_and_never_the_label() -> None:
    scores = {"Message": [-2.0, -3.0]}
    outcomes = []
    for temperature in (0.1, 10.0):
        context = FakeContext(FakeModels(scores))
        scoring = Scoring(length_normalized=False, temperature=temperature)
        outcomes.append(darwin_evaluate.handle(context.request(scoring=scoring), context).outcomes[0])

    assert outcomes[0].answer == outcomes[1].answer == "booking"
    assert outcomes[0].confidence > 0.99 > 0.6 > outcomes[1].confidence > 0.5


def test_a_chat_genome_speaks_through_the_models_own_template() -> None:
    context = FakeContext(FakeModels())
    genes = {"role": "You sort mail.", "chat": True, "demonstrations": Demonstrations(retrieved=1)}
    darwin_evaluate.handle(context.request(**genes), context)

    asked = context.asked[1]
    assert asked.prompt == (
        "<system>You sort mail.</system><user>Message: open on Sunday?\nIntent: opening hours\n\n"
        "Message: when do you open?\nIntent:</user><assistant>"
    )
    assert asked.choices == ("booking", "opening hours")


def test_the_content_free_prompt_keeps_fixed_and_leaves_out_retrieved_demonstrations() -> None:
    shown = Demonstrations(fixed=(0,), retrieved=1)
    genome = Genome(label_words=("B", "H"), demonstrations=shown, layout=LINE)
    assert content_free(genome, CORPUS).text == "a table for two => B\nN/A =>"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"examples": (2, 9)}, r"examples \[9\] do not exist: the corpus has 4"),
        ({"genome": Genome(label_words=("a", "b", "c"))}, "3 label words and the corpus 2 labels"),
    ],
)
def test_a_request_that_does_not_fit_its_corpus_fails_for_good(
    change: dict[str, Any], complaint: str
) -> None:
    context = FakeContext(FakeModels())
    request = context.request().model_copy(update=change)
    with pytest.raises(PermanentFailure, match=complaint):
        darwin_evaluate.handle(request, context)


def test_the_index_lists_pool_neighbors_best_first_without_the_example_itself() -> None:
    context = FakeContext(FakeModels())
    result = darwin_index.handle(IndexRequest(corpus=context.corpus, model="fake:embedder"), context)

    index = Index.model_validate_json(context.artifacts[result.index])
    assert index.neighbors == ((1,), (0,), (0, 1), (1, 0))
