"""Attention for models whose query heads share key-value heads, without copying keys and values.

Grouped-query attention (Ainslie et al. 2023, arXiv:2305.13245) lets G query heads read one key-value
head. Repeating keys and values G times, as is usual where a mask is given, moves far more memory
than the attention itself. Here the G heads are laid one after another along the query axis instead;
each row of queries has its own softmax, so the result is the same.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

#: Name under which transformers knows it.
NAME = "d8_grouped"


def grouped_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Scaled dot-product attention under an explicit additive mask.

    Args:
        query: (rows, heads, queries, head size); key, value: (rows, key-value heads, tokens, head size).
        attention_mask: (rows, 1, queries, tokens), added to the logits. None: causal, with the last
            query at the last token.

    Returns:
        (rows, queries, heads, head size), and None for the weights.
    """
    rows, heads, queries, size = query.shape
    shared = key.shape[1]
    group = heads // shared
    if attention_mask is None:
        attention_mask = causal_mask(queries, key.shape[2], query.device)
    if group > 1:
        query = query.reshape(rows, shared, group * queries, size)
        attention_mask = attention_mask.repeat(1, 1, group, 1)
    output = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=attention_mask, dropout_p=dropout, scale=scaling
    )
    return output.reshape(rows, heads, queries, -1).transpose(1, 2), None


def causal_mask(queries: int, tokens: int, device: torch.device) -> torch.Tensor:
    """(1, 1, queries, tokens), True where the last ``queries`` of ``tokens`` may attend."""
    ends = torch.arange(tokens - queries, tokens, device=device)
    return (torch.arange(tokens, device=device) <= ends[:, None])[None, None]


AttentionInterface.register(NAME, grouped_attention)
AttentionMaskInterface.register(NAME, sdpa_mask)
