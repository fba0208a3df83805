"""Choosing each row's next token with the row's own settings and its own random numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

#: Most likely tokens looked at first when only a part of the vocabulary may be drawn.
_FIRST_LOOK = 1024
#: Tokens that are first looked at as one.
_BLOCK = 256


@dataclasses.dataclass(frozen=True)
class Draw:
    """How one row's token is chosen: the ``step``-th of a text whose random numbers come from ``seed``."""

    temperature: float
    top_p: float
    top_k: int
    seed: int
    step: int

    @property
    def restricted(self) -> bool:
        return self.top_k > 0 or self.top_p < 1


def choose_tokens(logits: torch.Tensor, draws: Sequence[Draw]) -> list[int]:
    """One token per row of ``logits`` (rows, vocabulary).

    Temperature 0 takes the likeliest. Otherwise logits / temperature -> softmax -> the ``top_k``
    likeliest -> of these the fewest that hold ``top_p`` of the whole (nucleus sampling, Holtzman et
    al. 2020, arXiv:1904.09751) -> a race of exponential waiting times, first among blocks of the
    vocabulary and then inside the block that won, which draws each token with its probability. No
    row's result depends on another row.

    A race changes its winner only where two come in nearly together. Inverting the cumulative
    distribution instead would change one draw in two hundred: a sum that differs by a millionth, as sums
    do in another batch, moves the borders of all tokens behind it.
    """
    drawn = [row for row, draw in enumerate(draws) if draw.temperature > 0]
    if not drawn:
        return _likeliest(logits)
    chosen = [0] * len(draws)
    greedy = [row for row, draw in enumerate(draws) if draw.temperature == 0]
    if greedy:
        for row, token in zip(greedy, _likeliest(logits[greedy]), strict=True):
            chosen[row] = token
    hot = logits if len(drawn) == len(draws) else logits[drawn]
    heat = logits.new_tensor([draws[row].temperature for row in drawn], dtype=torch.float32)
    probabilities = torch.softmax(hot.float() / heat[:, None], dim=-1)
    restricted = [place for place, row in enumerate(drawn) if draws[row].restricted]
    if restricted:
        least = _least(probabilities[restricted], [draws[drawn[place]] for place in restricted])
        floor = probabilities.new_zeros(len(drawn))
        floor[restricted] = least
        probabilities = torch.where(probabilities >= floor[:, None], probabilities, 0.0)
    places = _race(probabilities, [draws[row] for row in drawn])
    for row, token in zip(drawn, places, strict=True):
        chosen[row] = token
    return chosen


def _likeliest(logits: torch.Tensor) -> list[int]:
    """Per row the first of the largest. The largest of blocks first: on a CPU that is several times as
    fast as looking for its place right away."""
    rows, vocabulary = logits.shape
    if vocabulary % _BLOCK or logits.device.type != "cpu":
        return [int(token) for token in logits.argmax(dim=-1).tolist()]
    blocks = logits.view(rows, -1, _BLOCK)
    block = blocks.amax(dim=2).argmax(dim=1)
    inside = blocks[torch.arange(rows), block].argmax(dim=1)
    return [int(token) for token in (block * _BLOCK + inside).tolist()]


def _race(probabilities: torch.Tensor, draws: Sequence[Draw]) -> list[int]:
    """Per row a token, drawn with its share of the row's sum."""
    rows, vocabulary = probabilities.shape
    blocks = -(-vocabulary // _BLOCK)
    padded = torch.nn.functional.pad(probabilities, (0, blocks * _BLOCK - vocabulary))
    padded = padded.view(rows, blocks, _BLOCK)
    waits = torch.from_numpy(np.stack([_waits(draw, blocks + _BLOCK) for draw in draws]))
    waits = waits.to(probabilities.device)
    block = (padded.sum(dim=2, dtype=torch.float64) / waits[:, :blocks]).argmax(dim=1)
    inside = padded[torch.arange(rows, device=padded.device), block].double()
    token = block * _BLOCK + (inside / waits[:, blocks:]).argmax(dim=1)
    return [int(place) for place in token.tolist()]


def _waits(draw: Draw, count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Waiting times of rate one. They depend on seed and step alone: a text that is begun again gets the
    same ones (Salmon et al. 2011, doi:10.1145/2063384.2063405)."""
    generator = np.random.Generator(np.random.Philox(key=draw.seed, counter=[0, 0, 0, draw.step]))
    return np.maximum(generator.standard_exponential(count), 1e-300)


def _least(probabilities: torch.Tensor, draws: Sequence[Draw]) -> torch.Tensor:
    """Per row the probability of the least likely token that its settings allow."""
    vocabulary = probabilities.shape[1]
    look = min(vocabulary, max(_FIRST_LOOK, *(draw.top_k for draw in draws), 1))
    likeliest = probabilities.topk(look, dim=1).values
    before = likeliest.double().cumsum(dim=1) - likeliest
    top_p = probabilities.new_tensor([draw.top_p for draw in draws], dtype=torch.float64)
    top_k = torch.tensor([draw.top_k or vocabulary for draw in draws], device=probabilities.device)
    allowed = torch.minimum((before < top_p[:, None]).sum(dim=1), top_k).clamp(min=1)
    least = likeliest.gather(1, (allowed.clamp(max=look) - 1)[:, None])[:, 0]
    for row, draw in enumerate(draws):
        if int(allowed[row]) >= look < min(vocabulary, draw.top_k or vocabulary):
            least[row] = _least_of_all(probabilities[row], draw)
    return least


def _least_of_all(probabilities: torch.Tensor, draw: Draw) -> torch.Tensor:
    """As ``_least`` for one row so flat that a first look does not reach far enough."""
    likeliest = probabilities.sort(descending=True).values
    if draw.top_k:
        likeliest = likeliest[: draw.top_k]
    before = likeliest.double().cumsum(dim=0) - likeliest
    allowed = max(1, int((before < draw.top_p).sum()))
    return likeliest[allowed - 1]
