"""The whole Spanish flow against npm's ``telegram-test-api``: an emulated Bot API that others wrote.

Where it deviates from Telegram (docs/telegram.md), the door has to bear it: it answers ``getUpdates`` at
once and never waits, ignores the offset and forgets an update once it was delivered, knows neither menus
nor photos, answers edits with nothing, and lets any text and any speed pass.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from master.approvals import ApprovalState
from tests.conftest import StartProcess
from tests.integration.telegram.stage import ANA, TOKEN, Stage
from tests.npm import install_npm
from tests.support import free_port, require, wait_until

pytestmark = pytest.mark.services

HERE = Path(__file__).parent / "npm"
SENDER: dict[str, Any] = {"id": ANA, "is_bot": False, "first_name": "Ana", "language_code": "es"}
CHAT: dict[str, Any] = {"id": ANA, "first_name": "Ana", "type": "private"}


@dataclass
class Emulated:
    """The server, and what a person does and sees there."""

    url: str
    http: httpx.Client

    def write(self, text: str) -> None:
        self._post("/sendMessage", {"botToken": TOKEN, "from": SENDER, "chat": CHAT, "date": 1, "text": text})

    def tap(self, data: str, number: int) -> None:
        message = {"message_id": number, "chat": CHAT, "date": 1}
        self._post("/sendCallback", {"botToken": TOKEN, "from": SENDER, "message": message, "data": data})

    def cards(self) -> list[dict[str, Any]]:
        """What the bot said, as it reads now."""
        history = self._post("/getUpdatesHistory", {"token": TOKEN})
        said = [entry for entry in history if "chat_id" in entry.get("message", {})]
        return [{**entry["message"], "number": entry["messageId"]} for entry in said]

    def card(self, *words: str) -> dict[str, Any]:
        """The first message that holds all of these; waits for it."""

        def look() -> dict[str, Any] | None:
            return next((c for c in self.cards() if all(word in c["text"] for word in words)), None)

        found = wait_until(look, 30.0, f"a message with {words}", lambda: str(self.cards()))
        assert found is not None
        return found

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        return self.http.post(self.url + path, json=body).raise_for_status().json()["result"]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as the lock file names it, in a folder of its own."""
    require("node")
    return install_npm(HERE, tmp_path_factory.mktemp("npm"))


@pytest.fixture
def emulated(package: Path, start_process: StartProcess) -> Iterator[Emulated]:
    port = free_port()
    server = start_process([require("node"), "serve.js", str(port)], cwd=package)
    server.wait_for_line("^ready$")
    with httpx.Client(timeout=20) as http:
        yield Emulated(f"http://127.0.0.1:{port}", http)


def button(card: dict[str, Any], label: str) -> str:
    """Data of the button that reads so."""
    keys = [key for row in card["reply_markup"]["inline_keyboard"] for key in row]
    return str(next(key["callback_data"] for key in keys if label in key["text"]))


def test_asked_approved_and_done_in_spanish(
    emulated: Emulated, start_process: StartProcess, stage: Stage, d8_home: Path
) -> None:
    stage.now = datetime.now(UTC)
    door = start_process(
        [sys.executable, "-m", "master.telegram"],
        env={
            "D8_HOME": str(d8_home),
            "D8_TELEGRAM_TOKEN": TOKEN,
            "D8_TELEGRAM_USERS": str(ANA),
            "D8_TELEGRAM_API_URL": f"{emulated.url}/bot",
        },
    )
    emulated.write("/start")
    emulated.card("/hecho ID costo [referencia]", "Te pregunto antes de comprar")

    approval = stage.ask(until="executed")
    card = emulated.card("Pago", approval.id)
    assert "Costo: <b>12.50 EUR</b>" in card["text"]
    assert "Dominio &lt;tapas&amp;vinos.es&gt;" in card["text"]

    emulated.tap(button(card, "Aprobar"), card["number"])
    approved = emulated.card(approval.id, "Aprobada</b> por Ana (4711) vía telegram")
    assert approved["number"] == card["number"], "the card itself was edited"
    assert f"/hecho {approval.id} costo referencia" in approved["text"]
    assert "Hecho por 12.50 EUR" in str(approved["reply_markup"])

    emulated.write(f"/hecho {approval.id} 11,99 factura 7")
    done = emulated.card("Hecho</b> por Ana (4711)", "por 11.99 EUR", "Dominio")
    assert done["number"] == card["number"]
    assert "Referencia: factura 7" in done["text"]
    held = stage.look(approval.id)
    assert (held.state, held.actual_minor) == (ApprovalState.EXECUTED, 1199)

    emulated.write("/solicitudes_pendientes")
    emulated.card("No hay nada pendiente.")
    assert door.returncode is None, door.tail()
    assert "Traceback" not in door.output()
