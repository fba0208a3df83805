"""One genome's shard through the real model server and the real sandbox, for each kind of task."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.darwin_evaluate import Request, Result
from tasks.darwin_genome import Corpus, Demonstrations, Example, Genome, Index, Layout, Sampling
from tasks.darwin_metrics import Metric
from tasks.darwin_reflect import Request as ReflectRequest
from tasks.darwin_rehearse import Request as RehearseRequest
from tasks.errors import PermanentFailure
from tasks.python_execute import Limits
from worker.handlers import darwin_evaluate, darwin_own, darwin_reflect, darwin_rehearse
from worker.models.client import ModelClient
from worker.models.supervise import ModelServerSupervisor, ServerSettings, ping

BILLS = (("Ana", 12), ("Luis", 30), ("Eva", 7), ("Marta", 45), ("Ivan", 18), ("Rosa", 9))
CAPITALS = (
    ("France", "Paris"), ("Italy", "Rome"), ("Spain", "Madrid"), ("Germany", "Berlin"), ("Japan", "Tokyo"),
)  # fmt: skip
#: More tokens than the model can read: each of these signs takes several.
ENDLESS = "\U00013000\U00013123" * 2000


def corpus(kind: str, pairs: list[tuple[str, str]], **fields: Any) -> Corpus:
    """The first half is the pool, the rest selects."""
    examples = tuple(
        Example(input=text, expected=expected, split="pool" if at < len(pairs) // 2 else "selection")
        for at, (text, expected) in enumerate(pairs)
    )
    return Corpus.model_validate({"kind": kind, "examples": examples, **fields})


TOPICS = corpus(
    "classify",
    [("I was charged twice.", "billing"), ("A table for two, please.", "booking")] * 2
    + [("The invoice is wrong.", "billing"), ("Can I reserve for Friday?", "booking")],
    labels=("billing", "booking"),
)
EXTRACT = corpus(
    "extract",
    [(f"{name} owes us {sum_} euros.", json.dumps({"amount": sum_, "name": name})) for name, sum_ in BILLS],
    json_schema=json.dumps(
        {
            "type": "object",
            "properties": {"amount": {"type": "integer"}, "name": {"type": "string", "maxLength": 12}},
            "required": ["amount", "name"],
            "additionalProperties": False,
        }
    ),
)
ANSWERS = corpus("answer", [(f"What is the capital of {land}?", city) for land, city in CAPITALS])
SCORES = corpus(
    "score",
    [(f"{'good ' * (at % 3)}book", str(at % 3)) for at in range(6)],
    low=0,
    high=2,
)


class RealContext:
    """What a handler is given, with artifacts in memory and the real model server."""

    attempt = 1
    worker = "test-worker"

    def __init__(self, models: ModelClient) -> None:
        self.models = models
        self.artifacts: dict[str, bytes] = {}

    def progress(self, fraction: float, note: str = "") -> None:
        assert 0 <= fraction <= 1

    def read_artifact(self, digest: str) -> bytes:
        return self.artifacts[digest]

    def write_artifact(self, name: str, data: bytes, media_type: str = "") -> str:
        digest = hashlib.sha256(data).hexdigest()
        self.artifacts[digest] = data
        return digest

    def evaluate(self, data: Corpus, genome: Genome, **fields: Any) -> Result:
        pool = data.ids("pool")
        index = Index(
            neighbors=tuple(tuple(at for at in pool if at != one) for one in range(len(data.examples)))
        )
        request = Request(
            genome=genome,
            corpus=self.write_artifact("corpus", data.model_dump_json().encode()),
            index=self.write_artifact("index", index.model_dump_json().encode()),
            **{"examples": data.ids("selection"), **fields},
        )
        return darwin_evaluate.handle(request, self)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelClient]:
    folder = tmp_path_factory.mktemp("server")
    settings = ServerSettings(
        socket_path=folder / "m.sock",
        log_folder=folder,
        options=("--dtype", "float32", "--cache-folder", str(folder), "--idle-exit-s", "60"),
    )
    supervisor = ModelServerSupervisor(settings, interval_s=0.2)
    supervisor.start()
    yield ModelClient(settings.socket_path)
    supervisor.stop()
    if (health := ping(settings.socket_path)) is not None:
        os.kill(health.pid, signal.SIGTERM)


@pytest.fixture
def context(client: ModelClient) -> RealContext:
    return RealContext(client)


@pytest.fixture
def executor(d8_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Says which executor the worker allows."""

    def allow(name: str) -> None:
        monkeypatch.setenv("D8_EXECUTORS", name)
        darwin_own._settings.cache_clear()

    allow("native")
    yield allow
    darwin_own._settings.cache_clear()


def test_a_label_is_chosen_by_likelihood_and_a_failing_example_costs_the_others_nothing(
    context: RealContext,
) -> None:
    genome = Genome(
        label_words=("billing", "booking"),
        instruction="One of: {labels}.",
        demonstrations=Demonstrations(fixed=(0, 1)),
    )
    whole = context.evaluate(TOPICS, genome)
    broken = TOPICS.model_copy(
        update={
            "examples": (
                *TOPICS.examples,
                Example(input=ENDLESS, expected="billing", split="selection"),
            )
        }
    )
    partly = context.evaluate(broken, genome)

    assert [one.example for one in whole.outcomes] == list(TOPICS.ids("selection"))
    assert whole.failures == ()
    assert len(whole.model_sha256) == 64
    assert [(one.example, one.transient) for one in partly.failures] == [(6, False)]
    assert [one.answer for one in partly.outcomes] == [one.answer for one in whole.outcomes]


def test_an_object_is_held_to_its_schema_and_scored_by_its_fields(context: RealContext) -> None:
    layout = Layout(before_input="Text: ", before_label="\nJSON:", between="\n\n")
    shown = Demonstrations(fixed=(0, 1, 2))
    genome = Genome(
        instruction="Extract {fields}.",
        layout=layout,
        demonstrations=shown,
        sampling=Sampling(max_new_tokens=40),
    )
    result = context.evaluate(EXTRACT, genome, metric=Metric(name="json_fields"))

    assert all(set(json.loads(one.answer)) == {"amount", "name"} for one in result.outcomes)
    # Each is valid: half of the score. With three examples to copy, a small model finds more than nothing.
    assert all(one.score >= 0.5 for one in result.outcomes)
    assert sum(one.score for one in result.outcomes) > 2.0
    assert result.generated_tokens == sum(one.generated_tokens for one in result.outcomes) > 0


def test_an_answer_is_generated_up_to_the_next_question_and_repeats_itself_with_its_seed(
    context: RealContext,
) -> None:
    genome = Genome(
        layout=Layout(before_input="Q: ", before_label="\nA:", between="\n\n"),
        demonstrations=Demonstrations(fixed=(0, 1)),
        sampling=Sampling(temperature=0.8, max_new_tokens=12),
    )
    first = context.evaluate(ANSWERS, genome, metric=Metric(name="token_f1"), seed=7)
    again = context.evaluate(ANSWERS, genome, metric=Metric(name="token_f1"), seed=7)
    greedy = genome.model_copy(update={"sampling": Sampling(max_new_tokens=12)})
    found = context.evaluate(ANSWERS, greedy, metric=Metric(name="exact_match"))

    assert [one.answer for one in first.outcomes] == [one.answer for one in again.outcomes]
    assert not any("Q:" in one.answer for one in found.outcomes)
    # Berlin and Tokyo after two examples: what a model of this size knows.
    assert sum(one.correct for one in found.outcomes) >= 1


def test_an_answer_may_be_scored_by_what_it_means(context: RealContext) -> None:
    genome = Genome(
        layout=Layout(before_input="Q: ", before_label="\nA:", between="\n\n"),
        demonstrations=Demonstrations(fixed=(0, 1)),
        sampling=Sampling(max_new_tokens=8),
    )
    result = context.evaluate(ANSWERS, genome, metric=Metric(name="similarity"))

    assert all(0 < one.score <= 1 for one in result.outcomes)


def test_a_number_is_generated_as_a_number(context: RealContext) -> None:
    genome = Genome(
        layout=Layout(before_input="", before_label=" =>", between="\n"),
        demonstrations=Demonstrations(fixed=(0, 1, 2)),
        sampling=Sampling(max_new_tokens=6),
    )
    result = context.evaluate(SCORES, genome, metric=Metric(name="closeness"))

    assert all(float(one.answer) is not None for one in result.outcomes)


OWN = """
def metric(expected, answer):
    if answer == "explode":
        raise ValueError("boom")
    return len(set(str(expected).lower()) & set(str(answer).lower())) / max(1, len(set(str(expected).lower())))
"""


@pytest.mark.parametrize("name", ["native", "venv"])
def test_the_owners_metric_scores_a_shard_in_the_sandbox(
    context: RealContext, executor: Callable[[str], None], name: str
) -> None:
    executor(name)
    source = context.write_artifact("metric.py", OWN.encode())
    genome = Genome(
        layout=Layout(before_input="Q: ", before_label="\nA:", between="\n\n"),
        demonstrations=Demonstrations(fixed=(0, 1)),
        sampling=Sampling(max_new_tokens=8),
    )
    own = Metric(name="own", source=source, trusted=True)
    result = context.evaluate(ANSWERS, genome, metric=own)

    for one in result.outcomes:
        expected = set(ANSWERS.examples[one.example].expected.lower())
        assert one.score == pytest.approx(len(expected & set(one.answer.lower())) / len(expected))


def rehearse(context: RealContext, source: str, **fields: Any) -> Any:
    request = RehearseRequest(
        metric=Metric(
            name="own", source=context.write_artifact("m.py", source.encode()), **{"trusted": True, **fields}
        ),
        corpus=context.write_artifact("corpus", EXTRACT.model_dump_json().encode()),
        examples=(0, 1, 2),
    )
    return darwin_rehearse.handle(request, context)


def test_a_metric_that_works_passes_its_rehearsal(
    context: RealContext, executor: Callable[[str], None]
) -> None:
    found = rehearse(
        context,
        "def metric(expected, answer):\n"
        "    return float(isinstance(answer, dict) and expected['amount'] == answer.get('amount'))",
    )

    assert (found.right, found.wrong, found.scores) == (1.0, 0.0, (1.0, 1.0, 1.0))


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        (
            "def metric(expected, answer):\n    return answer['amount']",
            r"metric returned 12 for the answer .*: return a number from 0 to 1",
        ),
        (
            "import math\n\ndef metric(expected, answer):\n    return 1.0 / (answer == expected)",
            r"metric raised ZeroDivisionError: .* in line 4",
        ),
        (
            "def metric(expected, answer):\n    return 0.5",
            "expected answers 0.50 on average and wrong or empty",
        ),
        ("def metric(expected, answer):\n    return float(answer != expected)", "expected answers 0.00 on"),
        ("import numpy_of_mine\ndef metric(a, b):\n    return 1.0", "could not be run: the code failed"),
        (
            "def metric(expected, answer):\n    while True: pass",
            "could not be run: the code was ended: it ran",
        ),
        ("metric = 3", "defines no function metric"),
    ],
)
def test_a_metric_that_cannot_serve_is_refused_before_any_model_is_asked(
    context: RealContext, executor: Callable[[str], None], source: str, complaint: str
) -> None:
    with pytest.raises(PermanentFailure, match=complaint):
        rehearse(context, source, limits=Limits(seconds=2))


def test_a_metric_that_nobody_vouched_for_runs_in_docker_or_not_at_all(
    context: RealContext, executor: Callable[[str], None]
) -> None:
    with pytest.raises(PermanentFailure, match="code that is not trusted needs docker"):
        rehearse(context, OWN, trusted=False)


def test_an_answer_that_the_metric_fails_on_is_a_failure_and_no_zero(
    context: RealContext, executor: Callable[[str], None]
) -> None:
    source = context.write_artifact("metric.py", OWN.encode())
    metric = Metric(name="own", source=source, trusted=True)
    found = darwin_own.run_own(metric, ANSWERS, [(0, "Paris"), (1, "explode")], context)

    assert found[0] == 1.0
    assert isinstance(found[1], str)
    assert "metric raised ValueError: boom in line 4" in found[1]


def test_a_critic_is_asked_through_its_chat_template_and_its_answer_is_judged_apart(
    context: RealContext,
) -> None:
    request = ReflectRequest(
        system="You rewrite instructions.",
        user="Rewrite: Sort it.",
        model="embedded:smollm2",
        max_new_tokens=24,
        seed=3,
    )
    first = darwin_reflect.handle(request, context)

    assert first.text
    assert first.text == darwin_reflect.handle(request, context).text
    assert 0 < first.generated_tokens <= 24
