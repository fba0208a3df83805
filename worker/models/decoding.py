"""Generating text for many requests at once: rows join as they come and leave as they finish."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

import torch

from worker.models.causal import CausalModel
from worker.models.jobs import Unit, is_out_of_memory, to_failure
from worker.models.kv import KeyValues, PastTokens
from worker.models.plan import Tokens, fill_batches, share_prefixes
from worker.models.protocol import Generated
from worker.models.rows import GenerateTask, Row
from worker.models.sampling import choose_tokens
from worker.models.slots import Slots
from worker.models.stats import Counters

#: Decode steps between two looks at other work.
STEPS_PER_TURN = 8


class DecodeQueue:
    """All generation with one model: waiting requests, and the rows being decoded."""

    def __init__(self, model: CausalModel, counters: Counters) -> None:
        self._model = model
        self._counters = counters
        self._waiting: deque[Unit[GenerateTask, Generated]] = deque()
        self._rows: list[Row] = []
        self._slots = Slots()
        self._max_rows = model.budget.rows

    @property
    def busy(self) -> bool:
        return bool(self._waiting or self._rows)

    def add(self, units: Sequence[Unit[GenerateTask, Generated]]) -> None:
        self._waiting.extend(units)

    def turn(self) -> None:
        """Admit what fits and decode a few steps."""
        try:
            self._admit()
            for _ in range(STEPS_PER_TURN):
                if not self._rows:
                    break
                self._step()
        except Exception as error:  # noqa: BLE001 - whatever it is, only its culprit fails
            self._recover(error)
        if not self.busy:
            self._max_rows = self._model.budget.rows

    def _admit(self) -> None:
        free = self._max_rows - len(self._rows)
        # Joining copies every row's keys and values once: worth it for a quarter of the rows.
        if not self._waiting or free < min(len(self._waiting), max(1, self._max_rows // 4)):
            return
        held = sum(row.held_tokens for row in self._rows)
        arrivals: list[Row] = []
        while self._waiting and len(arrivals) < free:
            if self._waiting[0].dropped:
                self._waiting.popleft()
                continue
            row = Row(self._waiting[0], self._model)
            if (self._rows or arrivals) and held + row.held_tokens > self._model.budget.held_tokens:
                break
            held += row.held_tokens
            arrivals.append(row)
            self._waiting.popleft()
        if arrivals:
            # They count as rows from here on, so that nothing is lost if computing them fails.
            before = len(self._rows)
            self._rows = [*self._rows, *arrivals]
            self._prefill(before, arrivals)

    def _prefill(self, before: int, arrivals: list[Row]) -> None:
        started_at_s = time.perf_counter()
        joined: list[tuple[KeyValues, torch.Tensor]] = []
        order: list[Row] = []
        last: list[torch.Tensor] = []
        kept = self._model.prefixes.prefixes()
        for group in share_prefixes([row.prompt for row in arrivals], kept):
            members = [arrivals[index] for index in group.members]
            past, computed = self._model.prefix(members[0].prompt[: group.prefix_tokens])
            self._counters.add(computed_tokens=computed)
            self._counters.add(**{"prefix_hits" if past.tokens and not computed else "prefix_misses": 1})
            costs = [len(row.prompt) - past.tokens for row in members]
            for batch in fill_batches(costs, self._model.budget.new_tokens, self._model.budget.rows):
                rows = [members[index] for index in batch]
                new, used, states = _prefill_batch(self._model, past, [row.prompt for row in rows])
                joined.append((new, used))
                last.append(states)
                order.extend(rows)
                self._counters.add(computed_tokens=sum(costs[index] for index in batch))
        self._slots.join(joined)
        self._rows[before:] = order
        self._counters.add(prompt_tokens=sum(len(row.prompt) for row in order))
        self._charge(order, started_at_s)
        self._choose(torch.cat(last), before)

    def _step(self) -> None:
        started_at_s = time.perf_counter()
        rows = list(self._rows)
        tokens = self._model.integers([[row.tokens[-1]] for row in rows])
        positions = self._model.integers([[len(row.prompt) + len(row.tokens) - 1] for row in rows])
        hidden = self._model.forward(tokens, positions, self._slots.open_column(), self._slots)
        self._slots.close_column()
        self._charge(rows, started_at_s)
        self._choose(hidden[:, -1], 0)

    def _charge(self, rows: Sequence[Row], started_at_s: float) -> None:
        elapsed_s = time.perf_counter() - started_at_s
        self._counters.add(busy_s=elapsed_s)
        for row in rows:
            row.unit.charge(elapsed_s / len(rows))

    def _choose(self, states: torch.Tensor, start: int) -> None:
        """The next token of ``rows[start:]``, whose last hidden states these are."""
        started_at_s = time.perf_counter()
        rows = self._rows[start:]
        tokens = choose_tokens(self._model.logits(states), [row.draw() for row in rows])
        gone = []
        for place, (row, token) in enumerate(zip(rows, tokens, strict=True)):
            result = row.take(token)
            if result is not None:
                row.unit.finish(result, prompt_tokens=len(row.prompt), generated_tokens=result.tokens)
            if result is not None or row.unit.dropped:
                gone.append(start + place)
        self._counters.add(generated_tokens=len(rows), busy_s=time.perf_counter() - started_at_s)
        if gone:
            self._leave(gone)

    def _leave(self, gone: Sequence[int]) -> None:
        alive = [index for index in range(len(self._rows)) if index not in set(gone)]
        self._rows = [self._rows[index] for index in alive]
        if alive:
            self._slots.select(alive)
        else:
            self._slots.clear()

    def _recover(self, error: Exception) -> None:
        """Begin all rows again in smaller batches; a row that fails alone is the culprit.

        Beginning again gives the same texts: a request depends on nothing but itself and its seed.
        """
        rows, self._rows = self._rows, []
        self._slots.clear()
        if is_out_of_memory(error):
            self._model.prefixes.clear()
        if len(rows) <= 1:
            culprit = rows[0].unit if rows else self._waiting.popleft()
            culprit.fail(to_failure(error))
            self._max_rows = self._model.budget.rows
            return
        self._max_rows = max(1, len(rows) // 2)
        self._waiting.extendleft(row.unit for row in reversed(rows))


def _prefill_batch(
    model: CausalModel, past: KeyValues, prompts: Sequence[Tokens]
) -> tuple[KeyValues, torch.Tensor, torch.Tensor]:
    """Keys and values of past and prompts, (rows, columns) of which are tokens, and last hidden states."""
    known = past.tokens
    lengths = [len(prompt) - known for prompt in prompts]
    width = max(lengths)
    tokens = model.integers([[*prompt[known:], *[0] * (width - len(prompt) + known)] for prompt in prompts])
    columns = torch.arange(known, known + width, device=model.device)
    every = torch.arange(known + width, device=model.device)
    visible = (every[None, :] <= columns[:, None]).expand(len(prompts), width, known + width)
    holder = PastTokens(past, keep=True)
    hidden = model.forward(tokens, columns.expand(len(prompts), width), visible, holder)
    ends = model.integers([lengths])[0]
    used = every[None, :] < known + ends[:, None]
    return holder.collected, used, hidden[torch.arange(len(prompts), device=model.device), ends - 1]
