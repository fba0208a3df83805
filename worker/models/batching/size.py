"""How many tokens the paged cache holds and one pass computes."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from worker.models.native.causal import key_value_shape

#: Only full pages are shared, so a page of transformers' 256 tokens would share no shorter beginning.
_PAGE_TOKENS = 16
#: With FlashAttention its kernel for decoding wants pages of this size.
_FLASH_PAGE_TOKENS = 256
_FEWEST_PAGES = 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class CacheSize:
    page_tokens: int
    #: What requests may use.
    pages: int
    #: Pages that only make up for what is lost where layers of several kinds divide the cache.
    spare_pages: int
    #: Memory of one token's keys and values in all layers.
    token_bytes: int
    #: Tokens of all requests that one forward pass computes.
    batch_tokens: int
    #: Requests computed at once.
    rows: int

    @property
    def tokens(self) -> int:
        """The most that all requests together may hold."""
        return self.pages * self.page_tokens

    @property
    def bytes(self) -> int:
        return (self.pages + self.spare_pages) * self.page_tokens * self.token_bytes

    def pages_for(self, tokens: int) -> int:
        return math.ceil(tokens / self.page_tokens)


def choose_size(model: Any, spare_bytes: int, *, flash: bool) -> CacheSize:
    """For a loaded model, where so much memory may be used beside its weights.

    On a CPU a pass of 64 tokens was the fastest of five tried, three times as fast as transformers'
    default: without FlashAttention every token of a pass is masked against all that the pass reads.
    For the same reason a GPU without it gets smaller passes.
    """
    config = model.config.get_text_config()
    token_bytes = key_value_shape(model).token_bytes
    if model.device.type == "cpu":
        most_tokens, share, batch_tokens, rows = 16_384, 4, 64, 64
    else:
        most_tokens, share, rows = (524_288 if flash else 131_072), 2, 256
        batch_tokens = 2048 if flash else 512
    page_tokens = _FLASH_PAGE_TOKENS if flash else _PAGE_TOKENS
    tokens = min(most_tokens, max(0, spare_bytes) // share // token_bytes)
    kinds = set(getattr(config, "layer_types", None) or ())
    return CacheSize(
        page_tokens=page_tokens,
        pages=max(_FEWEST_PAGES, tokens // page_tokens),
        spare_pages=int(config.num_hidden_layers) if len(kinds) > 1 else 0,
        token_bytes=token_bytes,
        batch_tokens=batch_tokens,
        rows=rows,
    )
