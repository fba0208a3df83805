"""Generating text for many requests at once: rows join as they come and leave as they finish."""

from __future__ import annotations

import bisect
import time
from collections.abc import Callable, Sequence

import torch

from worker.models.jobs import Unit, is_out_of_memory, to_failure
from worker.models.native.causal import CausalModel
from worker.models.native.passes import Step
from worker.models.native.plan import fill_batches, share_prefixes
from worker.models.native.rows import GenerateTask, Row
from worker.models.native.sampling import choose_tokens
from worker.models.native.slots import Slots
from worker.models.protocol import Generated
from worker.models.stats import Counters

GenerateUnit = Unit[GenerateTask, Generated]

#: Decode steps between two looks at other work.
STEPS_PER_TURN = 8
#: Seconds between two looks for requests that wait and are not wanted anymore.
_PURGE_S = 0.25
#: Tokens for which a new row gets memory at once; more as it grows.
_ROOM = 64


class DecodeQueue:
    """All generation with one model: waiting requests, and the rows being decoded."""

    def __init__(self, model: CausalModel, counters: Counters) -> None:
        self._model = model
        self._counters = counters
        #: The first to go first.
        self._waiting: list[GenerateUnit] = []
        self._arrivals = 0
        self._rows: list[Row] = []
        self._slots = Slots(model.shape)
        self._max_rows = model.budget.rows
        self._purged_at_s = 0.0
        counters.put("max_rows", self._max_rows)

    @property
    def busy(self) -> bool:
        return bool(self._waiting or self._rows)

    def add(self, units: Sequence[GenerateUnit]) -> None:
        for unit in units:
            self._arrivals += 1
            unit.arrival = self._arrivals
            bisect.insort(self._waiting, unit, key=lambda waiting: waiting.order)

    def turn(self, more: Callable[[], bool]) -> None:
        """Admit what fits and decode a few steps."""
        self._purge()
        try:
            self._admit()
            for _ in range(STEPS_PER_TURN):
                if not self._rows:
                    break
                self._step()
                if more() and len(self._rows) < self._max_rows:
                    break
        except Exception as error:  # noqa: BLE001 - whatever it is, only its culprit fails
            self._recover(error)
        if not self.busy:
            self._max_rows = self._model.budget.rows
            self._slots.clear()
            if self._slots.buffer.data.nbytes > self._model.budget.prefix_cache_bytes:
                self._slots.free()
        self._counters.put("rows", len(self._rows))

    def _purge(self) -> None:
        """Let those hear of it whose deadline passed while they waited."""
        now_s = time.monotonic()
        if now_s >= self._purged_at_s + _PURGE_S:
            self._purged_at_s = now_s
            self._waiting = [unit for unit in self._waiting if not unit.dropped]

    def _admit(self) -> None:
        free = self._max_rows - len(self._rows)
        # A pass for a single newcomer costs nearly what one for many does: gather some when it is busy.
        if not self._waiting or free < min(len(self._waiting), max(1, self._max_rows // 8)):
            return
        if self._advanced():
            return
        bound = self._model.budget.prefill_tokens if self._rows else None
        arrivals: list[Row] = []
        longest = max((row.held_tokens for row in self._rows), default=0)
        computed = 0
        while self._waiting and len(arrivals) < free:
            unit = self._waiting[0]
            if unit.dropped:
                self._waiting.pop(0)
                continue
            row = self._begun(unit)
            if row is None:
                continue
            held = max(longest, row.held_tokens)
            others = len(self._rows) + len(arrivals)
            computed += self._model.missing(row.prompt[:-1]) + 1 if bound is not None else 0
            too_much = held * (others + 1) > self._model.budget.held_tokens
            if others and (too_much or (arrivals and bound is not None and computed > bound)):
                break
            longest = held
            arrivals.append(row)
            self._waiting.pop(0)
        if arrivals:
            self._prefill(arrivals)

    def _begun(self, unit: GenerateUnit) -> Row | None:
        """The first that waits as a row; None where it cannot even begin, which it has then heard of."""
        try:
            return Row(unit, self._model)
        except Exception as error:  # noqa: BLE001 - only its culprit fails
            self._waiting.pop(0)
            unit.fail(to_failure(error))
            return None

    def _advanced(self) -> bool:
        """Compute a part of the first one's long prompt, if one pass may not hold all of it.

        What is computed is kept as a prefix, which the next turn begins from.
        """
        budget = self._model.budget
        bound = budget.prefill_tokens if self._rows else budget.new_tokens
        prompt = self._waiting[0].task.prompt
        missing = self._model.missing(prompt[:-1])
        if missing <= bound:
            return False
        started_at_s = time.perf_counter()
        known = len(prompt) - 1 - missing
        _, computed = self._model.compute_prefixes([prompt[: known + bound]])
        elapsed_s = time.perf_counter() - started_at_s
        self._waiting[0].charge(elapsed_s)
        self._counters.add(computed_tokens=computed, busy_s=elapsed_s)
        # Where not even this fits into the memory for prefixes, it has to be computed whole.
        return self._model.missing(prompt[:-1]) < missing

    def _prefill(self, arrivals: list[Row]) -> None:
        model, counters = self._model, self._counters
        # They count as rows from here on, so that nothing is lost if computing them fails.
        before, self._rows = len(self._rows), [*self._rows, *arrivals]
        started_at_s = time.perf_counter()
        groups = share_prefixes([row.prompt for row in arrivals], model.prefixes.prefixes())
        wanted = [arrivals[group.members[0]].prompt[: group.prefix_tokens] for group in groups]
        missing = sum(1 for tokens in wanted if model.missing(tokens))
        pasts, computed = model.compute_prefixes(wanted)
        known = {index: past for group, past in zip(groups, pasts, strict=True) for index in group.members}
        members = list(known)
        costs = [len(arrivals[index].prompt) - known[index].tokens for index in members]
        order: list[Row] = []
        last: list[torch.Tensor] = []
        padding = 0
        for batch in fill_batches(costs, model.budget.new_tokens, model.budget.rows):
            rows = [arrivals[members[number]] for number in batch]
            pasts = [known[members[number]] for number in batch]
            room = min(_ROOM, max(row.limit for row in rows))
            last.append(model.extend(self._slots, pasts, [row.prompt for row in rows], room=room))
            order.extend(rows)
            padding += max(costs[number] for number in batch) * len(batch) - sum(
                costs[number] for number in batch
            )
        self._rows[before:] = order
        counters.add(
            computed_tokens=computed + sum(costs),
            padding_tokens=padding,
            prompt_tokens=sum(len(row.prompt) for row in order),
            prefix_hits=sum(1 for tokens in wanted if tokens) - missing,
            prefix_misses=missing,
        )
        self._charge(order, started_at_s)
        self._choose(torch.cat(last), before)

    def _step(self) -> None:
        started_at_s = time.perf_counter()
        rows = list(self._rows)
        tokens = self._model.integers([[row.tokens[-1]] for row in rows])
        positions = self._model.integers([[length] for length in self._slots.lengths])
        hidden = self._model.forward(tokens, positions, Step(self._slots))
        self._slots.grow([1] * len(rows))
        self._counters.add(decode_steps=1, decode_rows=len(rows))
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
        logits = self._model.logits(states)
        for place, row in enumerate(rows):
            if row.matcher is not None:
                row.matcher.forbid(logits[place])
        tokens = choose_tokens(logits, [row.draw() for row in rows])
        gone = []
        for place, (row, token) in enumerate(zip(rows, tokens, strict=True)):
            result = row.take(token)
            if result is not None:
                row.unit.finish(result, prompt_tokens=len(row.prompt), generated_tokens=result.tokens)
            if result is not None or row.unit.dropped:
                gone.append(start + place)
        self._counters.add(generated_tokens=len(rows), busy_s=time.perf_counter() - started_at_s)
        if gone:
            self._rows = [self._rows[row] for row in self._slots.remove(gone)]

    def _recover(self, error: Exception) -> None:
        """Begin all rows again in smaller batches; a row that fails alone is the culprit.

        Beginning again gives the same texts: a request depends on nothing but itself and its seed.
        """
        rows, self._rows = self._rows, []
        self._slots.free()
        if is_out_of_memory(error):
            self._model.free_memory()
        if len(rows) <= 1:
            culprit = rows[0].unit if rows else self._waiting.pop(0)
            culprit.fail(to_failure(error))
            self._max_rows = self._model.budget.rows
            return
        self._max_rows = max(1, len(rows) // 2)
        for row in rows:
            if not row.unit.dropped:
                bisect.insort(self._waiting, row.unit, key=lambda waiting: waiting.order)
