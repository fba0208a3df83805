"""How much the engine may hold is bounded by the memory that there is."""

from __future__ import annotations

from worker.models.native.causal import CPU_BUDGET, GPU_BUDGET

_GIB = 2**30


def test_keys_and_values_of_a_large_model_fit_beside_its_weights() -> None:
    """Eight billion parameters hold 128 KiB a token: 524,288 of them would be 64 GiB."""
    fitted = GPU_BUDGET.fitted(8 * _GIB, 128 * 1024)
    assert fitted.held_tokens * 128 * 1024 <= 0.4 * 8 * _GIB
    assert fitted.prefix_cache_bytes <= 0.1 * 8 * _GIB
    assert (fitted.rows, fitted.new_tokens) == (GPU_BUDGET.rows, GPU_BUDGET.new_tokens)


def test_a_small_model_on_a_large_machine_keeps_the_whole_budget() -> None:
    assert CPU_BUDGET.fitted(64 * _GIB, 23_040) == CPU_BUDGET
    assert GPU_BUDGET.fitted(139 * _GIB, 23_040) == GPU_BUDGET


def test_with_no_memory_left_a_few_short_texts_may_still_be_tried() -> None:
    assert GPU_BUDGET.fitted(0, 128 * 1024).held_tokens == 2048
