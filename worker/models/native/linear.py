"""Matrix products with weights that were laid out once for the processor that they run on.

oneDNN multiplies blocks whose layout fits the processor's instructions. Handed plain weights it copies
them into that layout at every call, which on a CPU costs as much as half of the product itself. The
functions with which Torch's own compiler avoids that are called here directly; they also add, multiply
or activate in the same pass.
"""

from __future__ import annotations

from typing import Any

import torch

# Torch has no public name for them; where a build lacks them, plain products serve.
_POINTWISE: Any = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
_REORDER: Any = getattr(torch.ops.mkldnn, "_reorder_linear_weight", None)


class Linear:
    """``x @ weight.T + bias`` over the last dimension of ``x``.

    Args:
        weight: (outputs, inputs).
        bias: (outputs,) or None.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> None:
        self._bias = None if bias is None else bias.detach()
        self._weight = weight.detach()
        self._packed: Any = _pack(self._weight)
        if self._packed is not None:
            self._weight = self._weight[:0]

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if self._packed is None:
            return torch.nn.functional.linear(x, self._weight, self._bias)
        return _POINTWISE(x, self._packed, self._bias, "none", [], "")  # type: ignore[no-any-return]

    def plus(self, x: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """The product, and ``other`` added to it."""
        if self._packed is None:
            return other + torch.nn.functional.linear(x, self._weight, self._bias)
        return _POINTWISE(x, other, self._packed, self._bias, "add")  # type: ignore[no-any-return]

    def times(self, x: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """The product, multiplied by ``other`` element by element."""
        if self._packed is None:
            return other * torch.nn.functional.linear(x, self._weight, self._bias)
        return _POINTWISE(x, other, self._packed, self._bias, "mul")  # type: ignore[no-any-return]

    def silu(self, x: torch.Tensor) -> torch.Tensor:
        """The product y as y * sigmoid(y)."""
        if self._packed is None:
            return torch.nn.functional.silu(torch.nn.functional.linear(x, self._weight, self._bias))
        return _POINTWISE(x, self._packed, self._bias, "swish", [], "")  # type: ignore[no-any-return]


class _Packed(torch.nn.Module):
    """A ``Linear`` where transformers expects a module."""

    def __init__(self, module: torch.nn.Linear) -> None:
        super().__init__()
        self._linear = Linear(module.weight, module.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._linear(x)


def packed(model: Any) -> Any:
    """``model`` with its linear layers laid out for the processor, where that helps."""
    if model.device.type == "cpu":
        for parent in list(model.modules()):
            for name, child in list(parent.named_children()):
                if type(child) is torch.nn.Linear:
                    setattr(parent, name, _Packed(child))
    return model


def _pack(weight: torch.Tensor) -> torch.Tensor | None:
    """The weights in oneDNN's own layout, or None where it has none for them."""
    if weight.device.type != "cpu" or weight.dtype not in (torch.float32, torch.bfloat16):
        return None
    if _POINTWISE is None or _REORDER is None:
        return None
    try:
        packed: torch.Tensor = _REORDER(weight.contiguous(), 1)
        probe = weight.new_zeros((1, weight.shape[1]))
        _POINTWISE(probe, packed, None, "none", [], "")
    except (RuntimeError, NotImplementedError):
        return None  # this build of Torch multiplies plain weights only
    return packed
