"""What people type."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from master.telegram.commands import NAMES, ORDERS, Command, Order, find_command


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/solicitudes_pendientes", Command(order=Order.PENDING)),
        ("/pending now", Command(order=Order.PENDING)),
        ("/aprobar a7k2", Command(order=Order.APPROVE, approval_id="a7k2")),
        ("/Approve@d8_bot  A7K2", Command(order=Order.APPROVE, approval_id="a7k2")),
        ("/aprobar a7k2 por\nel menú", Command(order=Order.APPROVE, approval_id="a7k2", text="por\nel menú")),
        ("/rechazar #a7k2\tmuy caro ", Command(order=Order.REJECT, approval_id="a7k2", text="muy caro")),
        ("/reject", Command(order=Order.REJECT)),
        ("/ver <a7k2>", Command(order=Order.SHOW, approval_id="a7k2")),
        ("  /estado", Command(order=Order.STATUS)),
        ("/start payload", Command(order=Order.HELP)),
        ("/hecho a7k2 12,50 F-1", Command(order=Order.DONE, approval_id="a7k2", text="12,50 F-1")),
        ("/abandonar A7K2 ya no", Command(order=Order.ABANDON, approval_id="a7k2", text="ya no")),
        ("/gastos noviembre", Command(order=Order.SPENDING, text="noviembre")),
        ("/pausa", Command(order=Order.PAUSE)),
        ("/resume now", Command(order=Order.RESUME)),
    ],
)
def test_a_command_is_read(text: str, command: Command) -> None:
    assert find_command(text) == command


@pytest.mark.parametrize("text", ["", "  ", "aprobar a7k2", "/", "/unknown a7k2", "// aprobar", "@d8 /ver x"])
def test_anything_else_is_no_command(text: str) -> None:
    assert find_command(text) is None


@given(st.sampled_from(sorted(ORDERS)), st.text())
def test_no_text_after_a_command_breaks_it(name: str, rest: str) -> None:
    command = find_command(f"/{name} {rest}")
    assert command is not None
    assert command.order is ORDERS[name]


@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    command = find_command(text)
    assert command is None or text.strip().startswith("/")


def test_telegrams_menu_takes_every_command() -> None:
    names = {name for both in NAMES.values() for name in both}
    assert set(NAMES) == set(Order)
    assert all(re.fullmatch(r"[a-z0-9_]{1,32}", name) for name in names)
