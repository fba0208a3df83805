"""What people type."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from master.telegram.commands import ORDERS, Command, Order, find_command


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
