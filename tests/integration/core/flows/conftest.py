"""No flow of one test is left to another."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from master.capabilities import load_capabilities
from master.flows.registry import _FLOWS


@pytest.fixture(autouse=True)
def _own_flows() -> Iterator[None]:
    load_capabilities()
    before = dict(_FLOWS)
    yield
    _FLOWS.clear()
    _FLOWS.update(before)
