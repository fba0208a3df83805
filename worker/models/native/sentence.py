"""Sentence embeddings: an encoder, its pooling, unit length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from worker.models.native.plan import Tokens


class SentenceModel:
    """An encoder as this server runs it.

    Args:
        model: a transformers encoder in evaluation mode.
        tokenizer: its tokenizer.
        max_tokens: texts are cut after so many tokens, as the model was trained.
        pooling: "mean" over a text's tokens, or "cls" for its first.
        new_tokens: rows x longest row of one forward pass.
    """

    def __init__(self, model: Any, tokenizer: Any, *, max_tokens: int, pooling: str, new_tokens: int) -> None:
        self.model = model
        self.device: torch.device = model.device
        self.dtype: torch.dtype = model.dtype
        self.new_tokens = new_tokens
        self._tokenizer = tokenizer
        self._max_tokens = max_tokens
        self._pooling = pooling

    def tokens(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokens of each text with the model's special ones. One thread at a time."""
        encoded = self._tokenizer(list(texts), truncation=True, max_length=self._max_tokens)["input_ids"]
        return [tuple(tokens) for tokens in encoded]

    def embed(self, batch: Sequence[Tokens]) -> tuple[list[tuple[float, ...]], int]:
        """A unit-length vector per row, and the padding tokens computed.

        Mean pooling with the mask, then L2 normalization, as sentence-transformers does (Reimers and
        Gurevych 2019, arXiv:1908.10084).
        """
        width = max(len(tokens) for tokens in batch)
        ids = torch.tensor([[*tokens, *[0] * (width - len(tokens))] for tokens in batch], device=self.device)
        lengths = torch.tensor([len(tokens) for tokens in batch], device=self.device)
        mask = (torch.arange(width, device=self.device) < lengths[:, None]).long()
        hidden = self.model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        pooled = hidden[:, 0] if self._pooling == "cls" else _masked_mean(hidden, mask)
        vectors = torch.nn.functional.normalize(pooled, dim=-1)
        padding = width * len(batch) - sum(len(tokens) for tokens in batch)
        return [tuple(vector) for vector in vectors.tolist()], padding


def _masked_mean(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    weights = mask[:, :, None].float()
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1)
