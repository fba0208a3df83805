"""Choosing each row's next token with the row's own settings and its own random numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch

#: Most likely tokens looked at first when only a part of the vocabulary may be drawn.
_FIRST_LOOK = 1024
#: Tokens whose probabilities are summed as one when looking for the place of a random number.
_BLOCK = 256


@dataclasses.dataclass(frozen=True)
class Draw:
    """How one row's token is chosen. ``uniform`` is the row's next random number, in [0, 1)."""

    temperature: float
    top_p: float
    top_k: int
    uniform: float

    @property
    def restricted(self) -> bool:
        return self.top_k > 0 or self.top_p < 1


def choose_tokens(logits: torch.Tensor, draws: Sequence[Draw]) -> list[int]:
    """One token per row of ``logits`` (rows, vocabulary).

    Temperature 0 takes the likeliest. Otherwise logits / temperature -> softmax -> the ``top_k``
    likeliest -> of these the fewest that hold ``top_p`` of the whole (nucleus sampling, Holtzman et
    al. 2020, arXiv:1904.09751) -> inverse of the cumulative distribution, in the vocabulary's
    order, at ``uniform``. No row's result depends on another row.
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
    places = _invert(probabilities, [draws[row].uniform for row in drawn])
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


def _invert(probabilities: torch.Tensor, uniforms: Sequence[float]) -> list[int]:
    """Per row the first token at which the cumulative sum passes ``uniform`` of the whole. Sums in double
    precision, first of blocks and then inside the block that was hit."""
    rows, vocabulary = probabilities.shape
    blocks = -(-vocabulary // _BLOCK)
    padded = torch.nn.functional.pad(probabilities, (0, blocks * _BLOCK - vocabulary))
    padded = padded.view(rows, blocks, _BLOCK)
    sums = padded.sum(dim=2, dtype=torch.float64).cumsum(dim=1)
    points = sums[:, -1] * torch.tensor(uniforms, dtype=torch.float64, device=sums.device)
    hit = torch.searchsorted(sums, points[:, None], right=True).clamp(max=blocks - 1)
    inside = padded.gather(1, hit[:, :, None].expand(-1, 1, _BLOCK))[:, 0].double()
    before = torch.where(hit > 0, sums.gather(1, (hit - 1).clamp(min=0)), 0.0)
    place = torch.searchsorted(inside.cumsum(dim=1) + before, points[:, None], right=True)
    tokens = (hit * _BLOCK + place.clamp(max=_BLOCK - 1))[:, 0]
    possible = probabilities.gather(1, tokens.clamp(max=vocabulary - 1)[:, None])[:, 0] > 0
    found = tokens.tolist()
    for row, sure in enumerate((possible & (tokens < vocabulary)).tolist()):
        if not sure:
            # Rounding pointed just past a token that can be drawn: take the nearest one before it.
            able = probabilities[row].nonzero()[:, 0]
            before_it = able[able <= found[row]]
            found[row] = int(before_it[-1]) if len(before_it) else int(able[0])
    return [int(token) for token in found]


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
