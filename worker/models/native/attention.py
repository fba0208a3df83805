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

#: Logits that are held at once where they are computed as a product; 64 MiB in fp32.
_MOST_LOGITS = 2**24
#: Queries to a key-value head that are few.
_FEW_QUERIES = 64
#: Rows from which on its further operations are worth it.
_SOME_ROWS = 8
# The kernel behind Torch's attention on a CPU, which also tells the softmax's denominator.
_FLASH: Any = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu  # noqa: SLF001

#: Name under which transformers knows it.
NAME = "d8_past"
#: The keyword by which a pass's ``Past`` reaches it.
PAST = "d8_past"


def attend(
    query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor, scale: float
) -> torch.Tensor:
    """Scaled dot-product attention under an explicit additive mask.

    Args:
        query: (rows, columns, heads, head size).
        keys, values: (rows, tokens, key-value heads, head size).
        mask: (rows or 1, 1, columns or 1, tokens), added to the logits.

    Returns:
        (rows, columns, heads x head size).
    """
    rows, columns, heads, size = query.shape
    if _by_products(query, keys):
        return attend_with_weight(query, keys, values, mask, scale)[0].reshape(rows, columns, heads * size)
    laid, mask = _laid_out(query, keys.shape[2], mask)
    laid, keys, values, mask = _widened(laid, keys.transpose(1, 2), values.transpose(1, 2), mask)
    output = torch.nn.functional.scaled_dot_product_attention(laid, keys, values, attn_mask=mask, scale=scale)
    return _back(output.to(query.dtype), columns, heads).reshape(rows, columns, heads * size)


def attend_with_weight(
    query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor, scale: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """As ``attend``: (rows, columns, heads, head size), and the logarithm of each softmax's denominator,
    (rows, columns, heads), by which parts of an attention can be put together."""
    _, columns, heads, _ = query.shape
    products = _by_products(query, keys)
    laid, mask = _laid_out(query, keys.shape[2], mask)
    keys, values = keys.transpose(1, 2), values.transpose(1, 2)
    if products:
        logits = torch.matmul(laid, keys.transpose(-1, -2)).float().mul_(scale).add_(mask)
        weight = torch.logsumexp(logits, dim=-1)
        output = torch.matmul(logits.sub_(weight[..., None]).exp_().to(values.dtype), values)
    else:
        laid, keys, values, mask = _widened(laid, keys, values, mask)
        output, weight = _FLASH(laid, keys, values, attn_mask=mask, scale=scale)
        output = output.to(query.dtype)
    return _back(output, columns, heads), _back(weight[..., None], columns, heads)[..., 0]


def _by_products(query: torch.Tensor, keys: torch.Tensor) -> bool:
    """Whether two plain products with a softmax between are the better way.

    A CPU's kernel for 16 bits lays out all keys anew for instructions that pay off with many of both. On a
    GPU no other way tells the denominator under a mask.
    """
    if query.device.type != "cpu":
        return True
    rows, columns, heads, _ = query.shape
    small = rows * columns * heads * keys.shape[1] <= _MOST_LOGITS
    return query.dtype != torch.float32 and rows >= _SOME_ROWS and small and not _is_few(columns, heads, keys)


def _is_few(columns: int, heads: int, keys: torch.Tensor) -> bool:
    """Whether few queries look at each key-value head."""
    return columns * heads // keys.shape[2] <= _FEW_QUERIES


def _widened(
    query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """In fp32 where a CPU has few queries of 16 bits to a row: quicker than its kernel for 16 bits, and more
    exact. Queries as laid out, (rows, key-value heads, queries, head size)."""
    few = query.shape[0] >= _SOME_ROWS and query.shape[2] <= _FEW_QUERIES
    if query.device.type != "cpu" or query.dtype == torch.float32 or not few:
        return query, keys, values, mask
    return query.float(), keys.float(), values.float(), mask.float()


def attend_causally(
    query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scale: float
) -> torch.Tensor:
    """As ``attend``, for rows that begin with these tokens: none sees a later one, and half of the work
    is not even begun."""
    rows, columns, heads, size = query.shape
    group = heads // keys.shape[2]
    keys = keys.transpose(1, 2).repeat_interleave(group, dim=1)
    values = values.transpose(1, 2).repeat_interleave(group, dim=1)
    output = torch.nn.functional.scaled_dot_product_attention(
        query.transpose(1, 2), keys, values, is_causal=True, scale=scale
    )
    return output.transpose(1, 2).reshape(rows, columns, heads * size)


def _laid_out(query: torch.Tensor, shared: int, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Queries as (rows, key-value heads, group x columns, head size), a view where there is one column,
    and the mask for them."""
    rows, columns, heads, size = query.shape
    group = heads // shared
    laid = query.reshape(rows, columns, shared, group, size).permute(0, 2, 3, 1, 4)
    laid = laid.reshape(rows, shared, group * columns, size)
    if mask.shape[2] == 1:
        return laid, mask.expand(rows, 1, group * columns, -1)
    mask = mask.expand(rows, group, columns, -1).reshape(rows, 1, group * columns, -1)
    return laid, mask


def _back(output: torch.Tensor, columns: int, heads: int) -> torch.Tensor:
    """(rows, key-value heads, group x columns, any) as (rows, columns, heads, any)."""
    rows, shared, _, size = output.shape
    output = output.reshape(rows, shared, heads // shared, columns, size).permute(0, 3, 1, 2, 4)
    return output.reshape(rows, columns, heads, size)


def past_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **more: Any,
) -> tuple[torch.Tensor, None]:
    """Attention as transformers calls it, heads before tokens, done by the ``Past`` of the pass.

    Returns:
        (rows, queries, heads, head size), and None for the weights.
    """
    if PAST not in more:
        raise NotImplementedError(f"{type(module).__name__} does not hand on what its attention is to use")
    rows, heads, queries, size = query.shape
    scale = size**-0.5 if scaling is None else scaling
    output = more[PAST].attend(
        module.layer_idx, query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2), scale
    )
    return output.view(rows, queries, heads, size), None


def additive(visible: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """0 where ``visible`` is True, minus infinity elsewhere."""
    mask = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
    return mask.masked_fill_(~visible, float("-inf"))


AttentionInterface.register(NAME, past_attention)
AttentionMaskInterface.register(NAME, sdpa_mask)
