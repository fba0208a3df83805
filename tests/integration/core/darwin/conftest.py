"""The settings of an empty home."""

from __future__ import annotations

from typing import Any

import pytest

from master.settings import Settings, load_settings


@pytest.fixture
def settings(d8_home: Any) -> Settings:
    return load_settings()
