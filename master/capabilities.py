"""The capabilities of this master: importing them registers their flows and tables. One line each."""

from __future__ import annotations

import importlib

CAPABILITIES: tuple[str, ...] = (
    "master.flows.canary",
    # "master.darwin",
    # "master.niches",
    # "master.clients",
)


def load_capabilities() -> None:
    for module in CAPABILITIES:
        importlib.import_module(module)
