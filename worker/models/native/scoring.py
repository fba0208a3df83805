"""Log-likelihoods of choices after a prompt, many items in one forward pass.

A row holds what follows the shared prefix of its prompt, and after it all its choices side by side:
each choice sees the prompt and itself, at the positions that it would have alone. So neither
prefix nor prompt is computed twice, and a choice of one token costs nothing but a logit.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import torch

from worker.models.native.causal import CausalModel
from worker.models.native.kv import KeyValues
from worker.models.native.passes import Window
from worker.models.native.plan import Tokens


@dataclasses.dataclass(frozen=True)
class ScoreTask:
    prompt: Tokens
    choices: tuple[Tokens, ...]

    @property
    def tokens(self) -> int:
        """Tokens that a row of this task has without any prefix (a choice's last is never fed)."""
        return len(self.prompt) + sum(len(choice) - 1 for choice in self.choices)


@dataclasses.dataclass
class _Row:
    """One item laid out as a row."""

    tokens: list[int]
    #: 0 for the prompt, 1.. for the choices.
    segments: list[int]
    positions: list[int]
    #: (column whose output predicts it, token, choice), for every token of every choice.
    targets: list[tuple[int, int, int]]


def lay_out(task: ScoreTask, prefix_tokens: int) -> _Row:
    """The row of a task whose first ``prefix_tokens`` prompt tokens are in the past."""
    suffix = list(task.prompt[prefix_tokens:])
    row = _Row(
        tokens=suffix,
        segments=[0] * len(suffix),
        positions=list(range(prefix_tokens, len(task.prompt))),
        targets=[],
    )
    end_of_prompt = len(suffix) - 1
    for choice_index, choice in enumerate(task.choices):
        row.targets.append((end_of_prompt, choice[0], choice_index))
        for offset, (token, following) in enumerate(itertools.pairwise(choice)):
            row.targets.append((len(row.tokens), following, choice_index))
            row.tokens.append(token)
            row.segments.append(choice_index + 1)
            row.positions.append(len(task.prompt) + offset)
    return row


def score_batch(
    model: CausalModel, pasts: Sequence[KeyValues], tasks: Sequence[ScoreTask]
) -> tuple[list[tuple[float, ...]], int]:
    """Sums of log-probabilities (nats) per task and choice, and the padding tokens computed.

    ``pasts`` holds, for every task, the beginning of its prompt, without the prompt's last token.
    """
    known = [past.tokens for past in pasts]
    rows = [lay_out(task, have) for task, have in zip(tasks, known, strict=True)]
    width = max(len(row.tokens) for row in rows)
    tokens = model.integers([row.tokens + [0] * (width - len(row.tokens)) for row in rows])
    segments = model.integers([row.segments + [-1] * (width - len(row.tokens)) for row in rows])
    positions = model.integers([row.positions + [0] * (width - len(row.tokens)) for row in rows])
    with model.borrowed_slots() as slots:
        slots.add(pasts, width)
        window = Window(slots, 0, width, _visible(segments, positions, slots.own))
        hidden = model.forward(tokens, positions, window)
        if len(tasks) == 1:
            # A lone prompt is worth keeping: what comes next often begins like it.
            slots.grow([len(tasks[0].prompt) - known[0]])
            model.prefixes.keep(tasks[0].prompt, slots.row(0))
    padding = sum(width - len(row.tokens) for row in rows)
    return _sums(model, hidden, rows, tasks), padding


def _visible(segments: torch.Tensor, positions: torch.Tensor, owned: Sequence[int]) -> torch.Tensor:
    """(rows, columns, own tokens): what came before, the prompt so far, and one's own choice so far.

    A row's new tokens lie behind what it has of its own.
    """
    rows, columns = segments.shape
    own = segments[:, None, :] == segments[:, :, None]
    prompt = segments[:, None, :] == 0
    earlier = positions[:, None, :] <= positions[:, :, None]
    new = (own | prompt) & earlier
    visible = new.new_zeros((rows, columns, max(owned) + columns))
    for row, have in enumerate(owned):
        visible[row, :, :have] = True
        visible[row, :, have : have + columns] = new[row]
    return visible


def _sums(
    model: CausalModel, hidden: torch.Tensor, rows: Sequence[_Row], tasks: Sequence[ScoreTask]
) -> list[tuple[float, ...]]:
    sums = [[0.0] * len(task.choices) for task in tasks]
    wanted: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for index, row in enumerate(rows):
        for column, token, choice in row.targets:
            wanted.setdefault((index, column), []).append((token, choice))
    places = list(wanted)
    for start in range(0, len(places), model.budget.logit_rows):
        part = places[start : start + model.budget.logit_rows]
        at = model.integers(part)
        states = hidden[at[:, 0], at[:, 1]]
        pairs = [(number, token) for number, place in enumerate(part) for token, _ in wanted[place]]
        values = iter(_log_probabilities(model, states, model.integers(pairs)).tolist())
        for place in part:
            for _, choice in wanted[place]:
                sums[place[0]][choice] += next(values)
    return [tuple(row_sums) for row_sums in sums]


def _log_probabilities(model: CausalModel, states: torch.Tensor, pairs: torch.Tensor) -> torch.Tensor:
    """Log-probability of each (state number, token) pair, fp32."""
    logits = model.logits(states)
    normalized = torch.log_softmax(logits, dim=-1, dtype=torch.float32)
    result = normalized[pairs[:, 0], pairs[:, 1]]
    if logits.dtype != torch.float32:
        # A bf16 logit of 20 is only known to 0.06: recompute the few that are asked for.
        rounded = logits[pairs[:, 0], pairs[:, 1]].float()
        exact = model.token_logits(states[pairs[:, 0]], pairs[:, 1])
        result = (result - rounded + exact).clamp(max=0.0)
    return result
