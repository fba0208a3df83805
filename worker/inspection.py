"""What ``celery -A worker.app inspect`` can ask a worker beside Celery's own questions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery.worker.control import inspect_command

#: Set by ``worker.app`` once the process knows itself.
version: Callable[[], dict[str, Any]] = dict
hardware: Callable[[], dict[str, Any]] = dict


@inspect_command()  # type: ignore[untyped-decorator]
def d8_version(state: Any) -> dict[str, Any]:
    """Build, commit and standing in the fleet."""
    return version()


@inspect_command()  # type: ignore[untyped-decorator]
def d8_hardware(state: Any) -> dict[str, Any]:
    """Cores, memory, disk, GPUs, executors, models."""
    return hardware()
