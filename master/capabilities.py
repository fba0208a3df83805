"""The capabilities of this master: importing them registers their flows and tables. One line each."""

from __future__ import annotations

import importlib

CAPABILITIES: tuple[str, ...] = (
    "master.flows.canary",
    "master.flows.drill",
    "master.flows.rehearsal",
    "master.flows.python_code",
    "master.darwin.flow",
    "master.darwin.in_environment",
    "master.darwin.promotion",
    "master.niches.flow",
    "master.clients.flow",
)
#: Tables of what no flow imports: they are created with the rest, whether or not anybody uses them.
_TABLES: tuple[str, ...] = (
    "master.darwin.tables",
    "master.idempotency",
    "master.ledger.tables",
    "master.owners.tables",
    "master.schedules.tables",
    "master.telegram.tables",
    "master.webhooks.tables",
)


def load_capabilities() -> None:
    for module in (*CAPABILITIES, *_TABLES):
        importlib.import_module(module)
