"""llama.cpp through llama-cpp-python, on the quantized file, with its own reuse of common beginnings."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

Order = dict[str, Any]


def load(settings: Order) -> Callable[[Order], Order]:
    sys.path.insert(0, settings["packages"])
    from llama_cpp import Llama  # type: ignore[import-not-found]

    llama = Llama(settings["gguf"], n_ctx=4096, n_threads=settings["threads"], verbose=False)

    def run(order: Order) -> Order:
        texts = []
        started_at_s = time.perf_counter()
        for prompt, tokens in zip(order["prompts"], order["tokens"], strict=True):
            made = llama.create_completion(prompt, max_tokens=tokens, temperature=0.0)
            texts.append(made["choices"][0]["text"])
        return {"seconds": time.perf_counter() - started_at_s, "texts": texts}

    return run
