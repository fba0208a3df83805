"""What answering an update may need beside the update: the same for all of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from sqlalchemy import Connection

from master.approvals import Policy
from master.telegram.spending import FindSpending, no_spending

Facts = Callable[[Connection], Mapping[str, int]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ways:
    #: Signs and checks what buttons carry.
    key: bytes
    #: Counts for ``/status``; their names are message ids of the catalogues.
    facts: Facts
    #: The owner's rules, read when they are needed. ``InvalidInput`` when the file is wrong.
    policy: Callable[[], Policy]
    spending: FindSpending = no_spending
    #: Group chats in which allowed people are listened to.
    groups: frozenset[int] = frozenset()
