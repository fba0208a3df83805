"""An engine of each test's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from worker.models.native.engine import Engine


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine()
    yield engine
    engine.stop()
