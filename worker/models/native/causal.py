"""A causal language model as this server runs it: rows of tokens in, hidden states and logits out."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from worker.models.native.buffer import KeyValueShape
from worker.models.native.decoder import Decoder, TransformersDecoder
from worker.models.native.grammar import Grammars
from worker.models.native.kv import NOTHING, KeyValues, Past, PrefixCache
from worker.models.native.linear import Linear
from worker.models.native.passes import Window
from worker.models.native.plan import Tokens, fill_batches
from worker.models.native.slots import Slots
from worker.models.native.text import Text, generation_ends


@dataclasses.dataclass(frozen=True, kw_only=True)
class Budget:
    """What one forward pass may hold; bounds memory."""

    #: Rows x longest row, of new tokens.
    new_tokens: int
    #: New tokens of prompts computed between two decoding steps, so that running texts go on.
    prefill_tokens: int
    #: Rows x (longest prefix + row + tokens still to come) whose keys and values are held.
    held_tokens: int
    rows: int
    #: Positions whose logits are held at once.
    logit_rows: int = 512
    prefix_cache_bytes: int = 512 * 2**20

    def fitted(self, free_bytes: int, token_bytes: int) -> Budget:
        """The same, but with keys and values that fit beside the weights.

        ``free_bytes``: memory that is free once the weights are loaded. ``token_bytes``: of one token's
        keys and values in all layers. Two fifths of it may hold rows, a tenth kept beginnings; the
        rest is for what a pass computes and for other models.
        """
        held = max(_FEWEST_HELD_TOKENS, free_bytes * 2 // 5 // max(1, token_bytes))
        return dataclasses.replace(
            self,
            held_tokens=min(self.held_tokens, held),
            prefix_cache_bytes=min(self.prefix_cache_bytes, max(0, free_bytes) // 10),
        )


#: A few short texts at least: a model with less room than this cannot be served at all.
_FEWEST_HELD_TOKENS = 2048
CPU_BUDGET = Budget(new_tokens=2048, prefill_tokens=256, held_tokens=65_536, rows=128)
GPU_BUDGET = Budget(
    new_tokens=32_768,
    prefill_tokens=8192,
    held_tokens=524_288,
    rows=256,
    logit_rows=2048,
    prefix_cache_bytes=4 * 2**30,
)


class CausalModel:
    """Weights, tokenizer and kept prefixes of one model. Used by the engine's thread alone, but for
    ``text`` and ``grammars``.

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
        self.ends = text.ends() | generation_ends(model)
        self.grammars = Grammars(text.tokenizer, self.ends)
        self.shape = key_value_shape(model)
        self._borrowed = Slots(self.shape)
        self.decoder: Decoder = TransformersDecoder(model.get_decoder())
        self._head = model.get_output_embeddings()
        self._logits = Linear(self._head.weight, getattr(self._head, "bias", None))

    def integers(self, rows: Sequence[Sequence[int]]) -> torch.Tensor:
        """Rows of equal length on the model's device, (rows, columns)."""
        return torch.tensor(rows, dtype=torch.long, device=self.device)

    def forward(self, tokens: torch.Tensor, positions: torch.Tensor, past: Past) -> torch.Tensor:
        """Hidden states of ``tokens``, both (rows, columns), after the last normalization:
        (rows, columns, hidden size)."""
        return self.decoder(tokens, positions, past)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """(positions, hidden size) to (positions, vocabulary), in the model's dtype."""
        return self._logits(hidden)

    def token_logits(self, hidden: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """One logit per position, for its own token, computed in fp32. Both (positions, ...)."""
        weight = self._head.weight[tokens].float()
        logit = (hidden.float() * weight).sum(dim=-1)
        if getattr(self._head, "bias", None) is not None:
            logit = logit + self._head.bias[tokens].float()
        result: torch.Tensor = logit
        return result

    def missing(self, tokens: Tokens) -> int:
        """How many of these tokens are in no kept prefix."""
        return len(tokens) - self.prefixes.longest(tokens).tokens if tokens else 0

    def compute_prefixes(self, wanted: Sequence[Tokens]) -> tuple[list[KeyValues], int]:
        """Keys and values of these shared prefixes, and how many tokens had to be computed.

        Those that are missing are computed together and kept.
        """
        found = [self.prefixes.longest(tokens) if tokens else NOTHING for tokens in wanted]
        missing = [at for at, tokens in enumerate(wanted) if found[at].tokens < len(tokens)]
        costs = [len(wanted[at]) - found[at].tokens for at in missing]
        for batch in fill_batches(costs, self.budget.new_tokens, self.budget.rows):
            rows = [missing[number] for number in batch]
            with self.borrowed_slots() as slots:
                self.extend(slots, [found[at] for at in rows], [wanted[at] for at in rows], room=0)
                for row, at in enumerate(rows):
                    found[at] = slots.row(row)
                    self.prefixes.keep(wanted[at], found[at])
        return found, sum(costs)

    @contextlib.contextmanager
    def borrowed_slots(self) -> Iterator[Slots]:
        """Rows for a single pass, in memory that is kept from one to the next."""
        self._borrowed.clear()
        try:
            yield self._borrowed
        finally:
            self._borrowed.clear()
            if self._borrowed.buffer.data.nbytes > self.budget.prefix_cache_bytes:
                self._borrowed.free()

    def free_memory(self) -> None:
        """Give back what can be computed again."""
        self.prefixes.clear()
        self._borrowed.free()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def extend(
        self, slots: Slots, pasts: Sequence[KeyValues], prompts: Sequence[Tokens], *, room: int
    ) -> torch.Tensor:
        """Append rows for these prompts, which begin with ``pasts``, with room for so many tokens more; the
        hidden states of their last tokens, (rows, hidden size)."""
        known = [past.tokens for past in pasts]
        fresh = [len(prompt) - have for prompt, have in zip(prompts, known, strict=True)]
        width = max(fresh)
        start = slots.add(pasts, width + room)
        tokens = self.integers(
            [
                [*prompt[have:], *[0] * (width - new)]
                for prompt, have, new in zip(prompts, known, fresh, strict=True)
            ]
        )
        positions = self.integers([[have] for have in known]) + torch.arange(width, device=self.device)
        hidden = self.forward(tokens, positions, Window(slots, start, width))
        slots.grow(fresh, start)
        return hidden[torch.arange(len(prompts), device=self.device), self.integers([fresh])[0] - 1]

    def release_layers(self) -> None:
        """Forget transformers' own copy of the layers: ``decoder`` has all that it needs."""
        self.model.get_decoder().layers = torch.nn.ModuleList()


def key_value_shape(model: Any) -> KeyValueShape:
    """By the model's configuration; where it lies, the model proves not to share (see ``sharing``)."""
    config = model.config.get_text_config()
    heads = int(getattr(config, "num_attention_heads", 1))
    size = getattr(config, "head_dim", None) or int(config.hidden_size) // heads
    return KeyValueShape(
        layers=int(config.num_hidden_layers),
        heads=int(getattr(config, "num_key_value_heads", None) or heads),
        size=int(size),
        dtype=model.dtype,
        device=model.device,
    )
