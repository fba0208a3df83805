"""What keeps a fleet well, over HTTP."""

from __future__ import annotations

from pathlib import Path

from master.backup.archive import check_archive
from tests.integration.api.conftest import Caller


def test_a_backup_is_sent_sealed_and_left_nowhere(caller: Caller, tmp_path: Path) -> None:
    sent = caller.post("/api/backups", {"passphrase": "correct horse battery"})
    assert sent.status_code == 200, sent.text
    assert sent.headers["content-type"] == "application/octet-stream"
    file = tmp_path / "fleet.d8backup"
    file.write_bytes(sent.content)
    assert check_archive(file, "correct horse battery", lambda _: None).with_secrets
    assert not [path for path in caller.settings.home.iterdir() if path.name.startswith(".download")]
    assert caller.get("/api/events", name="backup_downloaded")["items"] != []


def test_a_short_passphrase_seals_nothing(caller: Caller) -> None:
    assert caller.post("/api/backups", {"passphrase": "short"}).status_code == 422
    assert caller.post("/api/backups", {"passphrase": "two lines\nof text"}).status_code == 422


def test_without_a_bot_nobody_can_be_told(caller: Caller) -> None:
    answer = caller.post("/api/notifications/test")
    assert (answer.status_code, "D8_TELEGRAM_TOKEN" in answer.json()["detail"]) == (409, True)
