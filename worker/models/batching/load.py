"""A folder of safetensors loaded for transformers' batching, and tried out."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils.import_utils import is_flash_attn_2_available

from tasks.errors import PermanentFailure
from worker.models.artifacts import is_causal
from worker.models.batching.backend import BatchingBackend
from worker.models.batching.guard import Guard
from worker.models.batching.loop import Loop
from worker.models.batching.size import choose_size
from worker.models.batching.task import Rules, plain_name
from worker.models.native.load import Placement, free_bytes
from worker.models.native.text import Text, generation_ends
from worker.models.outcomes import Failed
from worker.models.protocol import GenerateItem
from worker.models.stats import Counters
from worker.models.wire import DescribeReply

_FLASH = "flash_attention_2"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Loaded:
    model: Any
    text: Text
    ends: frozenset[int]


def load(folder: Path, placement: Placement) -> Loaded:
    """The model with an attention that can read pages: FlashAttention where it is installed, else SDPA."""
    if not is_causal(folder):
        raise PermanentFailure(
            f"the model in {folder} generates no text, and transformers' batching does nothing else: name it "
            "without transformers:"
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=placement.dtype,
            use_safetensors=True,
            local_files_only=True,
            attn_implementation="sdpa",
        )
        model = model.to(placement.device).eval()
        if _flash_works(model, placement):
            model.set_attn_implementation(_FLASH)
    except (OSError, ValueError, KeyError) as error:
        raise PermanentFailure(
            f"the model in {folder} could not be loaded with transformers {transformers.__version__}: {error}"
        ) from error
    text = Text(tokenizer, int(model.config.get_text_config().max_position_embeddings))
    return Loaded(model=model, text=text, ends=text.ends() | generation_ends(model))


def open_backend(
    loaded: Loaded, description: DescribeReply, spare_bytes: int, counters: Counters
) -> BatchingBackend:
    """The model behind a backend, after it has generated one token.

    Much of what can be wrong with a model or its settings transformers says only in the loop's thread.

    Args:
        spare_bytes: what may be used beside the weights.
    """
    model = loaded.model
    flash = model.config.get_text_config()._attn_implementation == _FLASH  # noqa: SLF001 - said nowhere else
    size = choose_size(model, min(spare_bytes, free_bytes(model.device)), flash=flash)
    guard = Guard(lambda: Loop(model, size), loaded.text, loaded.ends, size, Counters())
    rules = Rules(
        model=description.model,
        text=loaded.text,
        size=size,
        vocabulary=int(model.get_input_embeddings().num_embeddings),
    )
    trial = BatchingBackend(rules, guard, description, Counters())
    result = trial.generate([GenerateItem(prompt="a", max_new_tokens=1)]).result().results[0]
    if isinstance(result, Failed):
        guard.stop()
        raise PermanentFailure(
            f"transformers' batching does not work with {description.model} here ({result.message}): name "
            f"{plain_name(description.model)} instead"
        )
    guard.counters = counters  # what was tried is counted nowhere
    return BatchingBackend(rules, guard, description, counters)


def _flash_works(model: Any, placement: Placement) -> bool:
    """FlashAttention computes on GPUs and in 16 bits only."""
    fit = placement.device.type == "cuda" and placement.dtype.itemsize == 2
    return fit and bool(getattr(model, "_supports_flash_attn", False)) and is_flash_attn_2_available()
