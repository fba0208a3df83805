"""The books of each test."""

from __future__ import annotations

import pytest

from master.store import Database
from tests.integration.core.ledger.books import Books


@pytest.fixture
def books(database: Database) -> Books:
    return Books(database)
