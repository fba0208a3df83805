"""Too long, too large, too late, given up: who is told what, and who is not harmed."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from tests.integration.engine.stage import alone, backend_of, generate_items
from tests.integration.tiny_model import CONTEXT_TOKENS, tiny_model
from tests.support import wait_until
from worker.models.native.causal import CPU_BUDGET
from worker.models.native.engine import Engine
from worker.models.outcomes import Failed, Outcome
from worker.models.protocol import Generated, GenerateItem, ScoreItem
from worker.models.stats import Counters


@pytest.mark.parametrize("length", [CONTEXT_TOKENS, CONTEXT_TOKENS + 5])
def test_a_prompt_beyond_the_context_is_refused_with_both_lengths(engine: Engine, length: int) -> None:
    backend = backend_of(tiny_model(), engine)
    short = GenerateItem(prompt="a", max_new_tokens=2)

    results = backend.generate([GenerateItem(prompt="a" * length), short]).result(timeout=60).results
    scored = backend.score([ScoreItem(prompt="a" * length, choices=("a", "b"))]).result(timeout=60).results

    for told in (results[0], scored[0]):
        assert isinstance(told, Failed)
        assert (told.outcome, told.transient) == (Outcome.REJECTED, False)
        assert f"{length + 1} tokens and the model's context {CONTEXT_TOKENS}" in told.message
    assert isinstance(results[1], Generated)


def test_running_out_of_memory_in_a_crowd_loses_no_text(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = generate_items(12)
    texts = alone(tiny_model(), items)
    model = tiny_model()
    forward = model.forward

    def cramped(tokens: torch.Tensor, *rest: Any) -> torch.Tensor:
        if tokens.shape[0] > 3:
            raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return forward(tokens, *rest)

    monkeypatch.setattr(model, "forward", cramped)

    assert list(backend_of(model, engine).generate(items).result(timeout=120).results) == texts


def test_one_request_that_cannot_be_computed_fails_alone(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model()
    forward = model.forward
    poison = model.text.prompt("#")[0]

    def breaking(tokens: torch.Tensor, *rest: Any) -> torch.Tensor:
        if bool((tokens == poison).any()):
            raise RuntimeError("out of memory")
        return forward(tokens, *rest)

    monkeypatch.setattr(model, "forward", breaking)
    backend = backend_of(model, engine)
    items = [
        GenerateItem(prompt="#" if number == 37 else f"p{number}", max_new_tokens=4) for number in range(100)
    ]

    results = backend.generate(items).result(timeout=120).results

    assert [number for number, result in enumerate(results) if isinstance(result, Failed)] == [37]
    assert getattr(results[37], "transient", False)


def test_a_request_given_up_stops_within_two_decode_steps(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    counters = Counters()
    model = tiny_model()
    forward = model.forward
    steps: list[bool] = []
    reply: list[Any] = []

    def counted(tokens: torch.Tensor, *rest: Any) -> torch.Tensor:
        if len(steps) == 10:
            reply[0].cancel()
        if tokens.shape[1] == 1:
            steps.append(bool(reply[0].cancelled()))
        return forward(tokens, *rest)

    monkeypatch.setattr(model, "forward", counted)
    backend = backend_of(model, engine, counters)
    item = GenerateItem(prompt="a", max_new_tokens=400, ignore_end=True)
    reply.append(backend.generate([item]))
    other = backend.generate([GenerateItem(prompt="b", max_new_tokens=1)])
    other.result(timeout=60)
    wait_until(lambda: counters.snapshot((), 0).cancelled == 1, 60, "it is given up")
    backend.generate([GenerateItem(prompt="c", max_new_tokens=1)]).result(timeout=60)

    assert 1 <= sum(steps) <= 2
    assert len(steps) < 20


def test_a_deadline_ends_a_request_that_is_being_generated_and_one_that_waits(engine: Engine) -> None:
    model = tiny_model(dataclasses.replace(CPU_BUDGET, rows=1))
    backend = backend_of(model, engine)
    long = GenerateItem(prompt="a", max_new_tokens=500, ignore_end=True, deadline_s=0.2)

    results = backend.generate([long, long]).result(timeout=60).results

    for told in results:
        assert isinstance(told, Failed)
        assert told.outcome is Outcome.EXPIRED
