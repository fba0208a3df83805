"""A causal language model as this server runs it: rows of tokens in, hidden states and logits out."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol

import torch

from worker.models.kv import NOTHING, KeyValues, PastTokens, PrefixCache
from worker.models.plan import Tokens
from worker.models.text import Text


class Past(Protocol):
    """What a forward pass attends to beside its own tokens."""

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Budget:
    """What one forward pass may hold; bounds memory."""

    #: Rows x longest row, of new tokens.
    new_tokens: int
    #: Rows x (prefix + longest row + tokens still to come) whose keys and values are held.
    held_tokens: int
    rows: int
    #: Positions whose logits are held at once.
    logit_rows: int = 512
    prefix_cache_bytes: int = 512 * 2**20


CPU_BUDGET = Budget(new_tokens=2048, held_tokens=65_536, rows=64)
GPU_BUDGET = Budget(
    new_tokens=32_768, held_tokens=262_144, rows=256, logit_rows=2048, prefix_cache_bytes=4 * 2**30
)


class CausalModel:
    """Weights, tokenizer and kept prefixes of one model. Used by the engine's thread alone, but for ``text``.

    Args:
        model: a transformers causal model in evaluation mode.
        text: its tokenizer.
        budget: limits of one forward pass.
    """

    def __init__(self, model: Any, text: Text, budget: Budget) -> None:
        #: Whether it can run as rows that share a prefix, under masks of our own; see ``sharing``.
        self.shares = False
        self.model = model
        self.text = text
        self.budget = budget
        self.device: torch.device = model.device
        self.dtype: torch.dtype = model.dtype
        self.prefixes = PrefixCache(budget.prefix_cache_bytes)
        self.ends = text.ends() | _generation_ends(model)
        self._decoder = model.get_decoder()
        self._head = model.get_output_embeddings()

    def integers(self, rows: Sequence[Sequence[int]]) -> torch.Tensor:
        """Rows of equal length on the model's device, (rows, columns)."""
        return torch.tensor(rows, dtype=torch.long, device=self.device)

    def forward(
        self, tokens: torch.Tensor, positions: torch.Tensor, visible: torch.Tensor, past: Past
    ) -> torch.Tensor:
        """Hidden states of ``tokens``.

        Args:
            tokens, positions: (rows, columns).
            visible: (rows, columns, past and new tokens), True where a token may attend. Every token
                must see at least one.

        Returns:
            (rows, columns, hidden size), after the last normalization.
        """
        mask = torch.zeros(visible.shape, dtype=self.dtype, device=self.device)
        mask.masked_fill_(~visible, float("-inf"))
        output = self._decoder(
            input_ids=tokens,
            position_ids=positions,
            attention_mask=mask[:, None],
            past_key_values=past,
            use_cache=True,
        )
        hidden: torch.Tensor = output.last_hidden_state
        return hidden

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """(positions, hidden size) to (positions, vocabulary), in the model's dtype."""
        result: torch.Tensor = self._head(hidden)
        return result

    def token_logits(self, hidden: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """One logit per position, for its own token, computed in fp32. Both (positions, ...)."""
        weight = self._head.weight[tokens].float()
        logit = (hidden.float() * weight).sum(dim=-1)
        if getattr(self._head, "bias", None) is not None:
            logit = logit + self._head.bias[tokens].float()
        result: torch.Tensor = logit
        return result

    def prefix(self, tokens: Tokens) -> tuple[KeyValues, int]:
        """Keys and values of a shared prefix, and how many of its tokens had to be computed."""
        past = self.prefixes.longest(tokens) if tokens else NOTHING
        known = past.tokens
        if known == len(tokens):
            return past, 0
        fresh = self.integers([tokens[known:]])
        positions = torch.arange(known, len(tokens), device=self.device)[None]
        columns = torch.arange(len(tokens), device=self.device)
        visible = columns[None, None, :] <= positions[:, :, None]
        holder = PastTokens(past, keep=True)
        self.forward(fresh, positions, visible, holder)
        self.prefixes.keep(tokens, holder.collected)
        return holder.collected, len(tokens) - known


def _generation_ends(model: Any) -> frozenset[int]:
    config = getattr(model, "generation_config", None)
    ends = getattr(config, "eos_token_id", None)
    if ends is None:
        return frozenset()
    return frozenset([ends] if isinstance(ends, int) else ends)
