"""The layers of a causal model: tokens and positions in, hidden states out.

``LlamaDecoder`` runs models of Llama's shape (Llama, Mistral, Qwen 2 and 3, SmolLM and their kin) from
their weights: a third of the operations that transformers' own modules take, each of them larger.
``TransformersDecoder`` runs any other model through its own modules.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch

from worker.models.native.attention import PAST
from worker.models.native.kv import Past
from worker.models.native.linear import Linear

#: Of transformers' ``model_type``: pre-normalized layers, rotary positions, SwiGLU.
LLAMA_SHAPED = frozenset({"llama", "mistral", "qwen2", "qwen3", "smollm3"})


class Decoder(Protocol):
    def __call__(self, tokens: torch.Tensor, positions: torch.Tensor, past: Past) -> torch.Tensor:
        """Hidden states after the last normalization.

        Args:
            tokens, positions: (rows, columns).

        Returns:
            (rows, columns, hidden size).
        """
        ...


class LlamaDecoder:
    """See Touvron et al. 2023 (arXiv:2302.13971); biases and query/key norms as in Qwen 2 and 3.

    Args:
        inner: transformers' model without its head, in evaluation mode. Its layers' weights are taken
            over one after another and not copied where they can be used as they are.
    """

    def __init__(self, inner: Any) -> None:
        config = inner.config
        self._embedding = inner.embed_tokens.weight
        self._rotary = inner.rotary_emb
        self._layers = [_LlamaLayer(layer, index) for index, layer in enumerate(inner.layers)]
        self._norm = _Norm(inner.norm)
        self._hidden = int(config.hidden_size)

    def __call__(self, tokens: torch.Tensor, positions: torch.Tensor, past: Past) -> torch.Tensor:
        hidden = torch.nn.functional.embedding(tokens, self._embedding)
        cosine, sine = self._rotary(hidden, positions)
        half = sine.shape[-1] // 2
        # rotate_half(x) * sine is the halves of x exchanged, times this.
        signed = torch.cat([-sine[..., :half], sine[..., half:]], dim=-1)[:, :, None]
        cosine = cosine[:, :, None]
        for layer in self._layers:
            hidden = layer(hidden, cosine, signed, past)
        return self._norm(hidden)


class _Norm:
    """Root mean square normalization (Zhang and Sennrich 2019, arXiv:1910.07467)."""

    def __init__(self, module: Any) -> None:
        self._weight = module.weight.detach()
        self._epsilon = float(module.variance_epsilon)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.rms_norm(x, self._weight.shape, self._weight, self._epsilon)


class _LlamaLayer:
    def __init__(self, layer: Any, index: int) -> None:
        attention, perceptron = layer.self_attn, layer.mlp
        self._index = index
        self._size = int(attention.head_dim)
        self._heads = attention.q_proj.out_features // self._size
        self._shared = attention.k_proj.out_features // self._size
        self._scale = float(attention.scaling)
        self._before = _Norm(layer.input_layernorm)
        self._between = _Norm(layer.post_attention_layernorm)
        self._query_norm = _Norm(attention.q_norm) if hasattr(attention, "q_norm") else None
        self._key_norm = _Norm(attention.k_norm) if hasattr(attention, "k_norm") else None
        self._into = _joined(attention.q_proj, attention.k_proj, attention.v_proj)
        self._out = Linear(attention.o_proj.weight, attention.o_proj.bias)
        self._gate = Linear(perceptron.gate_proj.weight, perceptron.gate_proj.bias)
        self._up = Linear(perceptron.up_proj.weight, perceptron.up_proj.bias)
        self._down = Linear(perceptron.down_proj.weight, perceptron.down_proj.bias)

    def __call__(
        self, hidden: torch.Tensor, cosine: torch.Tensor, signed_sine: torch.Tensor, past: Past
    ) -> torch.Tensor:
        rows, columns, _ = hidden.shape
        made = self._into(self._before(hidden)).view(rows, columns, -1, self._size)
        turned = made[:, :, : self._heads + self._shared]
        if self._query_norm is not None and self._key_norm is not None:
            turned = torch.cat(
                [self._query_norm(turned[:, :, : self._heads]), self._key_norm(turned[:, :, self._heads :])],
                dim=2,
            )
        exchanged = torch.roll(turned, self._size // 2, dims=-1)
        turned = torch.addcmul(turned * cosine, exchanged, signed_sine)
        mixed = past.attend(
            self._index,
            turned[:, :, : self._heads],
            turned[:, :, self._heads :],
            made[:, :, self._heads + self._shared :],
            self._scale,
        )
        hidden = self._out.plus(mixed, hidden)
        normalized = self._between(hidden)
        return self._down.plus(self._up.times(normalized, self._gate.silu(normalized)), hidden)


def _joined(*modules: Any) -> Linear:
    """One product for several that read the same input."""
    weight = torch.cat([module.weight for module in modules])
    biases = [module.bias for module in modules]
    return Linear(weight, torch.cat(biases) if biases[0] is not None else None)


class TransformersDecoder:
    """A model's own layers, with our attention and our keys and values in place of its own."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __call__(self, tokens: torch.Tensor, positions: torch.Tensor, past: Past) -> torch.Tensor:
        output = self._inner(
            input_ids=tokens,
            position_ids=positions,
            # Not looked at: ``past`` knows who sees whom.
            attention_mask=torch.zeros((1, 1, 1, 1), dtype=self._inner.dtype, device=tokens.device),
            use_cache=False,
            # Handed on to the attention by the layers.
            **{PAST: past},
        )
        hidden: torch.Tensor = output.last_hidden_state
        return hidden
