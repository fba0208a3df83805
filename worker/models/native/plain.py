"""Scoring and generating with models that cannot run as rows under a mask of our own making.

Such are models with sliding windows, recurrent layers or attention of their own. They are run as
transformers runs them: nothing is shared between requests, and they generate one at a time. The
same code is the reference that every other model is compared with when it is loaded.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import torch

from worker.models.jobs import Unit, to_failure
from worker.models.native.causal import CausalModel
from worker.models.native.plan import Tokens
from worker.models.native.rows import GenerateTask, Row
from worker.models.native.sampling import choose_tokens
from worker.models.protocol import Generated
from worker.models.stats import Counters

_STEPS_PER_TURN = 8


def plain_score(model: CausalModel, prompt: Tokens, choices: Sequence[Tokens]) -> tuple[float, ...]:
    """Sum of log-probabilities (nats) of each choice after the prompt, one forward pass each."""
    return tuple(_plain_sum(model, prompt, choice) for choice in choices)


def _plain_sum(model: CausalModel, prompt: Tokens, choice: Tokens) -> float:
    tokens = model.integers([[*prompt, *choice[:-1]]])
    logits = model.model(input_ids=tokens, use_cache=False).logits[0, len(prompt) - 1 :]
    normalized = torch.log_softmax(logits, dim=-1, dtype=torch.float32)
    picked = normalized.gather(1, model.integers([choice]).T)
    return float(picked.sum())


class PlainDecodeQueue:
    """Generates one request after the other, a few steps a turn."""

    def __init__(self, model: CausalModel, counters: Counters) -> None:
        self._model = model
        self._counters = counters
        self._waiting: deque[Unit[GenerateTask, Generated]] = deque()
        self._row: Row | None = None
        self._past: Any = None

    @property
    def busy(self) -> bool:
        return bool(self._waiting or self._row)

    def add(self, units: Sequence[Unit[GenerateTask, Generated]]) -> None:
        self._waiting.extend(units)

    def turn(self, more: Callable[[], bool]) -> None:
        for _ in range(_STEPS_PER_TURN):
            if self._row is None:
                if not self._waiting:
                    return
                unit = self._waiting.popleft()
                if unit.dropped:
                    continue
                try:
                    self._row = Row(unit, self._model)
                except Exception as error:  # noqa: BLE001 - whatever it is, only its request fails
                    unit.fail(to_failure(error))
                    continue
                self._past = None
            row = self._row
            try:
                result = self._step(row)
            except Exception as error:  # noqa: BLE001 - whatever it is, only its request fails
                row.unit.fail(to_failure(error))
                self._row = None
                continue
            if result is not None:
                self._counters.add(prompt_tokens=len(row.prompt))
                row.unit.finish(result, prompt_tokens=len(row.prompt), generated_tokens=result.tokens)
            if result is not None or row.unit.dropped:
                self._row = None

    def _step(self, row: Row) -> Generated | None:
        started_at_s = time.perf_counter()
        fresh = row.tokens[-1:] if self._past is not None else row.prompt
        output = self._model.model(
            input_ids=self._model.integers([fresh]), past_key_values=self._past, use_cache=True
        )
        self._past = output.past_key_values
        logits = output.logits[:, -1]
        if row.matcher is not None:
            row.matcher.forbid(logits[0])
        token = choose_tokens(logits, [row.draw()])[0]
        elapsed_s = time.perf_counter() - started_at_s
        self._counters.add(computed_tokens=len(fresh), generated_tokens=1, busy_s=elapsed_s)
        row.unit.charge(elapsed_s)
        return row.take(token)
