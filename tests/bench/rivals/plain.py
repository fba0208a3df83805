"""transformers' ``generate``: one prompt after the other, padded batches, threads that share one model."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

Order = dict[str, Any]


class Plain:
    def __init__(self, folder: str, dtype: str) -> None:
        quiet: Callable[[], None] = logging.set_verbosity_error
        quiet()
        self._tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
        self._model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype))
        self._model.train(False)
        if self._tokenizer.pad_token_id is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token

    def batch(self, prompts: Sequence[str], tokens: int, forced: bool) -> list[list[int]]:
        """New tokens of each prompt of one padded batch."""
        given = self._tokenizer(list(prompts), return_tensors="pt", padding=True)
        with torch.inference_mode():
            made = self._model.generate(
                **given,
                do_sample=False,
                max_new_tokens=tokens,
                min_new_tokens=tokens if forced else None,
                pad_token_id=self._tokenizer.pad_token_id,
            )
        return [self._trimmed(row[given["input_ids"].shape[1] :].tolist()) for row in made]

    def _trimmed(self, tokens: list[int]) -> list[int]:
        ends = self._model.generation_config.eos_token_id
        stops = {ends} if isinstance(ends, int) else set(ends or ())
        end = next((at for at, token in enumerate(tokens) if token in stops), len(tokens))
        return tokens[:end]

    def text(self, tokens: list[int]) -> str:
        return str(self._tokenizer.decode(tokens, skip_special_tokens=True))


def load(settings: Order) -> Callable[[Order], Order]:
    plain = Plain(settings["folder"], settings["dtype"])

    def run(order: Order) -> Order:
        prompts, limits = order["prompts"], order["tokens"]
        started_at_s = time.perf_counter()
        if order.get("threads"):
            with ThreadPoolExecutor(order["threads"]) as pool:
                texts = list(pool.map(lambda at: _batch(plain, order, [at])[0], range(len(prompts))))
        else:
            size = order.get("batch", 1)
            texts = []
            for start in range(0, len(prompts), size):
                texts += _batch(plain, order, range(start, min(start + size, len(prompts))))
        seconds = time.perf_counter() - started_at_s
        return {"seconds": seconds, "texts": texts, "limits": len(limits)}

    return run


def _batch(plain: Plain, order: Order, rows: Sequence[int]) -> list[str]:
    """A static batch runs until its longest text is done; what a row has beyond its own end is cut."""
    limits = [order["tokens"][row] for row in rows]
    made = plain.batch([order["prompts"][row] for row in rows], max(limits), order["forced"])
    return [plain.text(tokens[:limit]) for tokens, limit in zip(made, limits, strict=True)]
