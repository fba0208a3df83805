"""Choosing each row's next token with the row's own settings and its own random numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch

#: Most likely tokens looked at first when only a part of the vocabulary may be drawn.
_FIRST_LOOK = 1024


@dataclasses.dataclass(frozen=True)
class Draw:
    """How one row's token is chosen. ``uniform`` is the row's next random number, in [0, 1)."""

    temperature: float
    top_p: float
    top_k: int
    uniform: float


def choose_tokens(logits: torch.Tensor, draws: Sequence[Draw]) -> list[int]:
    """One token per row of ``logits`` (rows, vocabulary).

    Temperature 0 takes the likeliest. Otherwise logits / temperature -> softmax -> the ``top_k``
    likeliest -> of these the fewest that hold ``top_p`` of the whole (nucleus sampling, Holtzman et
    al. 2020, arXiv:1904.09751) -> inverse of the cumulative distribution, in the vocabulary's
    order, at ``uniform``. No row's result depends on another row.
    """
    chosen = [0] * len(draws)
    greedy = [row for row, draw in enumerate(draws) if draw.temperature == 0]
    drawn = [row for row, draw in enumerate(draws) if draw.temperature > 0]
    if greedy:
        for row, token in zip(greedy, logits[greedy].argmax(dim=-1).tolist(), strict=True):
            chosen[row] = int(token)
    if not drawn:
        return chosen
    heat = logits.new_tensor([draws[row].temperature for row in drawn], dtype=torch.float32)
    probabilities = torch.softmax(logits[drawn].float() / heat[:, None], dim=-1)
    for place, row in enumerate(drawn):
        chosen[row] = _draw(probabilities[place], draws[row])
    return chosen


def _draw(probabilities: torch.Tensor, draw: Draw) -> int:
    """The token at ``draw.uniform`` of the cumulative distribution over the tokens allowed."""
    if draw.top_k or draw.top_p < 1:
        probabilities = torch.where(probabilities >= _least(probabilities, draw), probabilities, 0.0)
    cumulative = probabilities.double().cumsum(dim=0)
    point = draw.uniform * float(cumulative[-1])
    place = int(torch.searchsorted(cumulative, cumulative.new_tensor([point]), right=True))
    if place < len(probabilities) and float(probabilities[place]) > 0:
        return place
    # Rounding pointed just past the last token that can be drawn.
    return int(probabilities.nonzero()[-1])


def _least(probabilities: torch.Tensor, draw: Draw) -> float:
    """The probability of the least likely token that ``draw`` allows."""
    vocabulary = probabilities.shape[0]
    look = min(vocabulary, max(draw.top_k, _FIRST_LOOK))
    while True:
        likeliest = probabilities.topk(look).values
        if draw.top_k:
            likeliest = likeliest[: draw.top_k]
        before = likeliest.cumsum(dim=0) - likeliest
        allowed = int((before < draw.top_p).sum())
        if allowed < look or look == vocabulary or draw.top_k:
            return float(likeliest[max(allowed, 1) - 1])
        look = min(vocabulary, look * 8)
