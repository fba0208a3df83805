from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker.models.client import CHARACTERS_PER_MESSAGE, ITEMS_PER_MESSAGE, split_items


@given(st.lists(st.integers(0, CHARACTERS_PER_MESSAGE), max_size=700))
def test_parts_hold_all_items_in_order_and_fit_a_message(sizes: list[int]) -> None:
    parts = list(split_items(sizes, lambda size: size))

    assert [size for part in parts for size in part] == sizes
    assert all(len(part) <= ITEMS_PER_MESSAGE for part in parts)
    assert all(sum(part) <= CHARACTERS_PER_MESSAGE for part in parts)
    assert all(parts)
