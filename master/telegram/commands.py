"""What a text message asks for. Spanish first, English aliases, no surprises."""

from __future__ import annotations

import enum

from tasks.record import Record


class Order(enum.StrEnum):
    PENDING = "pending"
    APPROVE = "approve"
    REJECT = "reject"
    DONE = "done"
    ABANDON = "abandon"
    SHOW = "show"
    STATUS = "status"
    SPENDING = "spending"
    PAUSE = "pause"
    RESUME = "resume"
    HELP = "help"


class Command(Record):
    order: Order
    #: Empty when the order names no request, or the person forgot to.
    approval_id: str = ""
    #: The note of an approval, the reason of a rejection, the cost of what was done, a month; may be empty.
    text: str = ""


#: The names of each order, Spanish and English, as Telegram's menu shows them.
NAMES: dict[Order, tuple[str, str]] = {
    Order.PENDING: ("solicitudes_pendientes", "pending"),
    Order.APPROVE: ("aprobar", "approve"),
    Order.REJECT: ("rechazar", "reject"),
    Order.DONE: ("hecho", "done"),
    Order.ABANDON: ("abandonar", "abandon"),
    Order.SHOW: ("ver", "show"),
    Order.STATUS: ("estado", "status"),
    Order.SPENDING: ("gastos", "spending"),
    Order.PAUSE: ("pausa", "pause"),
    Order.RESUME: ("reanudar", "resume"),
    Order.HELP: ("ayuda", "help"),
}
ORDERS: dict[str, Order] = {
    **{name: order for order, names in NAMES.items() for name in names},
    "start": Order.HELP,
}

_TAKES_ID = {Order.APPROVE, Order.REJECT, Order.DONE, Order.ABANDON, Order.SHOW}
_TAKES_TEXT = {Order.SPENDING}


def find_command(text: str) -> Command | None:
    """The command in a message, or None when it is none of ours.

    ``/aprobar@some_bot A7K2  for the spring menu`` -> approve, ``a7k2``, ``for the spring menu``.
    Ids are lower case; phones like to capitalize.
    """
    head, rest = _split(text.strip())
    if not head.startswith("/"):
        return None
    order = ORDERS.get(head[1:].partition("@")[0].lower())
    if order is None:
        return None
    if order in _TAKES_TEXT:
        return Command(order=order, text=rest)
    if order not in _TAKES_ID:
        return Command(order=order)
    approval_id, note = _split(rest)
    return Command(order=order, approval_id=approval_id.strip("#<>[]").lower(), text=note)


def _split(text: str) -> tuple[str, str]:
    """The first word and what follows it, without the white space around either."""
    parts = text.split(maxsplit=1)
    return (parts[0] if parts else "", parts[1].strip() if len(parts) > 1 else "")
