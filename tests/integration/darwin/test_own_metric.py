"""The owner's own metric, rehearsed and run in the sandbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.darwin_genome import Demonstrations, Genome, Layout, Sampling
from tasks.darwin_metrics import Metric
from tasks.darwin_rehearse import Request as RehearseRequest
from tasks.errors import PermanentFailure
from tasks.python_execute import Limits
from tests.integration.darwin.stage import ANSWERS, EXTRACT, RealContext
from worker.handlers import darwin_own, darwin_rehearse


@pytest.fixture
def executor(d8_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Says which executor the worker allows."""

    def allow(name: str) -> None:
        monkeypatch.setenv("D8_EXECUTORS", name)
        darwin_own._settings.cache_clear()

    allow("native")
    yield allow
    darwin_own._settings.cache_clear()


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
