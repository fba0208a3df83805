"""What waits to be scored or embedded with one model, and the batches made of it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from worker.models.causal import CausalModel
from worker.models.jobs import Unit, run_isolated
from worker.models.kv import KeyValues
from worker.models.plain import plain_score
from worker.models.plan import Group, Tokens, fill_batches, share_prefixes
from worker.models.protocol import Scored
from worker.models.scoring import ScoreTask, score_batch
from worker.models.sentence import SentenceModel
from worker.models.stats import Counters

Vector = tuple[float, ...]
ScoreUnit = Unit[ScoreTask, Scored]
EmbedUnit = Unit[Tokens, Vector]

#: Texts of one embedding batch.
_EMBED_ROWS = 64


class Queue(Protocol):
    """Work of one kind with one model. Used by the engine's thread alone."""

    @property
    def busy(self) -> bool: ...

    def turn(self) -> None:
        """Compute one batch, so that other work gets its turn soon."""
        ...


class ScoreQueue:
    """Plans all waiting items together, again whenever some arrive."""

    def __init__(self, model: CausalModel, counters: Counters) -> None:
        self._model = model
        self._counters = counters
        #: (tokens of the shared prefix, units) in the order they will run.
        self._batches: deque[tuple[int, list[ScoreUnit]]] = deque()
        self._arrived: list[ScoreUnit] = []

    @property
    def busy(self) -> bool:
        return bool(self._batches or self._arrived)

    def add(self, units: Sequence[ScoreUnit]) -> None:
        self._arrived.extend(units)

    def turn(self) -> None:
        if self._arrived:
            self._plan()
        prefix_tokens, batch = self._batches.popleft()
        alive = [unit for unit in batch if not unit.dropped]
        if alive:
            run_isolated(alive, lambda units: self._compute(prefix_tokens, units), self._model.prefixes.clear)

    def _plan(self) -> None:
        waiting = [unit for _, batch in self._batches for unit in batch] + self._arrived
        self._arrived = []
        self._batches.clear()
        prompts = [unit.task.prompt for unit in waiting]
        ranked: list[tuple[int, int, list[ScoreUnit]]] = []
        for group in self._groups(prompts):
            members = [waiting[index] for index in group.members]
            costs = [unit.task.tokens - group.prefix_tokens for unit in members]
            rows = max(1, min(self._model.budget.rows, self._rows_held(group.prefix_tokens)))
            for batch in fill_batches(costs, self._model.budget.new_tokens, rows):
                oldest = min(group.members[index] for index in batch)
                ranked.append((oldest, group.prefix_tokens, [members[index] for index in batch]))
        ranked.sort(key=lambda batch: batch[0])
        self._batches.extend((prefix_tokens, units) for _, prefix_tokens, units in ranked)

    def _score(self, past: KeyValues, tasks: Sequence[ScoreTask]) -> tuple[list[tuple[float, ...]], int]:
        if self._model.shares:
            return score_batch(self._model, past, tasks)
        return [plain_score(self._model, task.prompt, task.choices) for task in tasks], 0

    def _groups(self, prompts: Sequence[Tokens]) -> list[Group]:
        if self._model.shares:
            return share_prefixes(prompts, self._model.prefixes.prefixes())
        return [Group(0, tuple(range(len(prompts))))]

    def _rows_held(self, prefix_tokens: int) -> int:
        return self._model.budget.held_tokens // max(1, prefix_tokens)

    def _compute(self, prefix_tokens: int, units: Sequence[ScoreUnit]) -> None:
        started_at_s = time.perf_counter()
        past, computed = self._model.prefix(units[0].task.prompt[:prefix_tokens])
        results, padding = self._score(past, [unit.task for unit in units])
        elapsed_s = time.perf_counter() - started_at_s
        prompt_tokens = sum(unit.task.tokens for unit in units)
        hit = prefix_tokens > 0 and computed == 0
        self._counters.add(
            busy_s=elapsed_s,
            prompt_tokens=prompt_tokens,
            computed_tokens=computed + prompt_tokens - prefix_tokens * len(units),
            padding_tokens=padding,
            prefix_hits=int(hit),
            prefix_misses=int(not hit),
        )
        for unit, logprobs in zip(units, results, strict=True):
            unit.charge(elapsed_s / len(units))
            lengths = tuple(len(choice) for choice in unit.task.choices)
            unit.finish(Scored(logprobs=logprobs, tokens=lengths), prompt_tokens=unit.task.tokens)


class EmbedQueue:
    """Texts of like length together, longest first."""

    def __init__(self, model: SentenceModel, counters: Counters) -> None:
        self._model = model
        self._counters = counters
        self._waiting: list[EmbedUnit] = []

    @property
    def busy(self) -> bool:
        return bool(self._waiting)

    def add(self, units: Sequence[EmbedUnit]) -> None:
        self._waiting.extend(units)

    def turn(self) -> None:
        waiting = [unit for unit in self._waiting if not unit.dropped]
        costs = [len(unit.task) for unit in waiting]
        batches = fill_batches(costs, self._model.new_tokens, _EMBED_ROWS)
        # The batch that holds the oldest text goes first, whatever its length.
        chosen = next((batch for batch in batches if 0 in batch), [])
        rest = set(range(len(waiting))) - set(chosen)
        self._waiting = [waiting[index] for index in sorted(rest)]
        if chosen:
            run_isolated([waiting[index] for index in chosen], self._compute, lambda: None)

    def _compute(self, units: Sequence[EmbedUnit]) -> None:
        started_at_s = time.perf_counter()
        vectors, padding = self._model.embed([unit.task for unit in units])
        elapsed_s = time.perf_counter() - started_at_s
        tokens = sum(len(unit.task) for unit in units)
        self._counters.add(
            busy_s=elapsed_s, prompt_tokens=tokens, computed_tokens=tokens, padding_tokens=padding
        )
        for unit, vector in zip(units, vectors, strict=True):
            unit.charge(elapsed_s / len(units))
            unit.finish(vector, prompt_tokens=len(unit.task))
