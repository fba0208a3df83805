"""What waits to be scored or embedded with one model, and the batches made of it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from worker.models.jobs import Unit, run_isolated
from worker.models.native.causal import CausalModel
from worker.models.native.plain import plain_score
from worker.models.native.plan import Group, Tokens, fill_batches, share_prefixes
from worker.models.native.scoring import ScoreTask, score_batch
from worker.models.native.sentence import SentenceModel
from worker.models.protocol import Scored
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

    def turn(self, more: Callable[[], bool]) -> None:
        """Compute one batch, so that other work gets its turn soon. Where that takes several passes, end it
        as soon as there is ``more``: something has arrived."""
        ...


class ScoreQueue:
    """Plans all waiting items together, again whenever some arrive."""

    def __init__(self, model: CausalModel, counters: Counters) -> None:
        self._model = model
        self._counters = counters
        #: Units with the tokens of their shared prefixes, in the order they will run.
        self._batches: deque[list[tuple[int, ScoreUnit]]] = deque()
        self._arrived: list[ScoreUnit] = []
        self._arrivals = 0

    @property
    def busy(self) -> bool:
        return bool(self._batches or self._arrived)

    def add(self, units: Sequence[ScoreUnit]) -> None:
        for unit in units:
            self._arrivals += 1
            unit.arrival = self._arrivals
        self._arrived.extend(units)

    def turn(self, more: Callable[[], bool]) -> None:
        if self._arrived:
            self._plan()
        batch = self._batches.popleft()
        prefixes = {id(unit): tokens for tokens, unit in batch}
        alive = [unit for _, unit in batch if not unit.dropped]
        if alive:
            run_isolated(alive, lambda units: self._compute(prefixes, units), self._model.free_memory)

    def _plan(self) -> None:
        waiting = [unit for batch in self._batches for _, unit in batch] + self._arrived
        waiting = sorted((unit for unit in waiting if not unit.dropped), key=lambda unit: unit.order)
        self._arrived = []
        prefix_of = {
            index: group.prefix_tokens
            for group in self._groups([unit.task.prompt for unit in waiting])
            for index in group.members
        }
        # Those that share lie side by side, so that a prefix serves one batch after the other.
        members = list(prefix_of)
        costs = [waiting[index].task.tokens - prefix_of[index] for index in members]
        held = [waiting[index].task.tokens for index in members]
        ranked = []
        for batch in fill_batches(costs, self._model.budget.new_tokens, self._model.budget.rows):
            for part in self._held(batch, held):
                chosen = sorted(members[number] for number in part)
                ranked.append([(prefix_of[index], waiting[index]) for index in chosen])
        ranked.sort(key=lambda batch: min(unit.order for _, unit in batch))
        self._batches = deque(ranked)

    def _held(self, batch: Sequence[int], held: Sequence[int]) -> Iterator[Sequence[int]]:
        """``batch`` in parts whose keys and values, prefixes included, fit into memory."""
        longest = max(held[number] for number in batch)
        rows = max(1, self._model.budget.held_tokens // max(1, longest))
        return (batch[at : at + rows] for at in range(0, len(batch), rows))

    def _groups(self, prompts: Sequence[Tokens]) -> list[Group]:
        if self._model.shares:
            return share_prefixes(prompts, self._model.prefixes.prefixes())
        return [Group(0, tuple(range(len(prompts))))]

    def _compute(self, prefixes: Mapping[int, int], units: Sequence[ScoreUnit]) -> None:
        started_at_s = time.perf_counter()
        tasks = [unit.task for unit in units]
        wanted = [task.prompt[: prefixes[id(unit)]] for unit, task in zip(units, tasks, strict=True)]
        computed = misses = padding = 0
        if self._model.shares:
            different = list(dict.fromkeys(wanted))
            misses = sum(1 for tokens in different if self._model.missing(tokens))
            found, computed = self._model.compute_prefixes(different)
            pasts = dict(zip(different, found, strict=True))
            results, padding = score_batch(self._model, [pasts[tokens] for tokens in wanted], tasks)
        else:
            different = []
            results = [plain_score(self._model, task.prompt, task.choices) for task in tasks]
        elapsed_s = time.perf_counter() - started_at_s
        prompt_tokens = sum(task.tokens for task in tasks)
        self._counters.add(
            busy_s=elapsed_s,
            prompt_tokens=prompt_tokens,
            computed_tokens=computed + prompt_tokens - sum(len(tokens) for tokens in wanted),
            padding_tokens=padding,
            prefix_hits=sum(1 for tokens in different if tokens) - misses,
            prefix_misses=misses,
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

    def turn(self, more: Callable[[], bool]) -> None:
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
