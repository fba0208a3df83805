"""A Llama of a few thousand random weights: exact arithmetic checks in milliseconds, no files."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from worker.models.native.causal import CPU_BUDGET, Budget, CausalModel
from worker.models.native.sharing import try_sharing
from worker.models.native.text import Text

VOCABULARY = 300
CONTEXT_TOKENS = 512
END = 1


class ByteTokenizer:
    """A character is its own token, so that lengths and boundaries are plain to see."""

    bos_token_id = 0
    eos_token_id = END
    chat_template = None

    def __call__(self, text: str, add_special_tokens: bool = True) -> dict[str, list[int]]:
        return {"input_ids": [min(ord(letter), VOCABULARY - 3) + 2 for letter in text]}

    def decode(self, tokens: Sequence[int], skip_special_tokens: bool = True) -> str:
        return "".join(chr(token - 2) for token in tokens if token > END)


def tiny_model(budget: Budget = CPU_BUDGET, **changes: Any) -> CausalModel:
    """A Llama with grouped-query attention, seeded; ``changes`` go to its configuration."""
    return other_model(LlamaConfig, LlamaForCausalLM, budget, **changes)


def other_model(config: type, kind: type, budget: Budget = CPU_BUDGET, **changes: Any) -> CausalModel:
    """The same of any kind that transformers knows."""
    torch.manual_seed(7)
    torch.set_num_threads(1)  # too small to share out
    settings: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "hidden_size": 48,
        "intermediate_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "max_position_embeddings": CONTEXT_TOKENS,
        "initializer_range": 0.4,
        "bos_token_id": 0,
        "eos_token_id": END,
    }
    inner = kind(config(**{**settings, **changes}))
    inner.train(False)
    model = CausalModel(inner, Text(ByteTokenizer(), CONTEXT_TOKENS), dataclasses.replace(budget))
    with torch.inference_mode():
        try_sharing(model)
    return model


def words(chance: random.Random, letters: int) -> str:
    return "".join(chance.choice("abcdefgh ") for _ in range(letters))
