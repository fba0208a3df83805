"""Finding out whether a model can run as rows that share a prefix, under masks of our own."""

from __future__ import annotations

import logging
import math
from typing import Any

import torch

from worker.models.native import attention
from worker.models.native.causal import CausalModel
from worker.models.native.decoder import LLAMA_SHAPED, LlamaDecoder, TransformersDecoder
from worker.models.native.plain import plain_score
from worker.models.native.scoring import ScoreTask, score_batch

log = logging.getLogger(__name__)

#: Nats by which a right computation may differ from the plain one; a wrong one differs by more.
_TOLERANCE = {torch.float32: 0.01}
_ROUNDED_TOLERANCE = 1.0


#: Ways to run a model as rows.
DecoderType = type[LlamaDecoder | TransformersDecoder]


def try_sharing(model: CausalModel) -> DecoderType | None:
    """Let the model share prefixes if its layers allow it and it proves right on a small example.

    The faster decoder is tried first. Returns the one that it runs with, None for neither.
    """
    if not attends_to_all(model.model.config.get_text_config()):
        return None
    tasks = _example(model)
    expected = [plain_score(model, task.prompt, task.choices) for task in tasks]
    own_attention = model.model.config._attn_implementation  # noqa: SLF001 - transformers has no public name
    for make in _decoders(model):
        error = _difference(model, make, tasks, expected)
        if error <= _TOLERANCE.get(model.dtype, _ROUNDED_TOLERANCE):
            model.shares = True
            return make
        kind = model.model.config.model_type
        log.warning("model_decoder_refused type=%s decoder=%s error=%.3g", kind, make.__name__, error)
    model.model.set_attn_implementation(own_attention)
    return None


def share(model: CausalModel, make: DecoderType) -> None:
    """Let the model share prefixes with a decoder that has proved right."""
    _use(model, make)
    model.shares = True


def _use(model: CausalModel, make: DecoderType) -> None:
    if make is TransformersDecoder:
        model.model.set_attn_implementation(attention.NAME)
    model.decoder = make(model.model.get_decoder())


def _decoders(model: CausalModel) -> list[DecoderType]:
    llama = model.model.config.get_text_config().model_type in LLAMA_SHAPED
    return [LlamaDecoder, TransformersDecoder] if llama else [TransformersDecoder]


def attends_to_all(config: Any) -> bool:
    """Whether every layer attends to the whole context: no windows, no recurrent layers."""
    layers = getattr(config, "layer_types", None)
    if layers is not None:
        return all(layer == "full_attention" for layer in layers)
    return getattr(config, "sliding_window", None) is None


def _example(model: CausalModel) -> list[ScoreTask]:
    """Two prompts that begin with the same five tokens, of different lengths, with longer choices."""
    vocabulary = int(model.model.config.get_text_config().vocab_size)
    some = tuple(vocabulary * part // 17 for part in range(1, 16))
    return [
        ScoreTask(some[:10], (some[10:12], some[12:13])),
        ScoreTask(some[:7], (some[7:8], some[9:12])),
    ]


def _difference(
    model: CausalModel,
    make: DecoderType,
    tasks: list[ScoreTask],
    expected: list[tuple[float, ...]],
) -> float:
    """Largest difference in nats; infinite where the model does not run like this at all."""
    try:
        _use(model, make)
        pasts, _ = model.compute_prefixes([tasks[0].prompt[:5], tasks[1].prompt[:3]])
        found, _ = score_batch(model, pasts, tasks)
    except (AttributeError, IndexError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        log.warning("model_cannot_share_prefixes error=%r", error)
        return math.inf
    finally:
        model.prefixes.clear()
    pairs = zip(sum(found, ()), sum(expected, ()), strict=True)
    return max(abs(one - other) for one, other in pairs)
