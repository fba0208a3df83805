"""Photos and files: content is shown, long evidence is sent whole."""

from __future__ import annotations

import struct
import zlib

import pytest

from master.approvals import ApprovalState
from master.store.artifacts import record_artifact
from master.telegram.api import TelegramAway
from master.telegram.messages import NO_PHOTO
from master.telegram.tables import telegram_messages
from tests.integration.bot_wire import Failure
from tests.integration.telegram.stage import ANA, APPROVE, DETAILS, Stage, announced, greet, settle

pytestmark = pytest.mark.anyio


def png(width: int = 4, height: int = 4) -> bytes:
    """A real picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + b"\xff\x80\x20" * width for _ in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def keep(stage: Stage, data: bytes, name: str, media_type: str) -> str:
    digest = stage.folder.write(data)
    with stage.database.write() as connection:
        record_artifact(
            connection,
            digest,
            name=name,
            media_type=media_type,
            size=len(data),
            run_id="r",
            now=stage.now,
        )
    return digest


async def test_content_is_shown_as_a_photo_and_its_caption_edited(stage: Stage) -> None:
    digest = keep(stage, png(), "home.png", "image/png")
    async with stage.door() as door:
        approval, card = await announced(
            stage,
            door,
            type="CONTENT_APPROVAL",
            cost_minor=0,
            evidence={"sitio": digest},
            reason="<b>" + "😀" * 1500,
        )
        shown = stage.api.file(ANA, card)
        assert shown is not None
        assert shown.data == png()
        assert approval.id in stage.api.text(ANA, card)
        stage.api.tap_button(ANA, card, APPROVE)
        await settle(door)
    assert stage.look(approval.id).state is ApprovalState.APPROVED
    assert "Aprobada por Ana (4711)" in stage.api.text(ANA, card)
    assert stage.api.buttons(ANA, card) == {}
    assert stage.api.count("editMessageCaption") == 1
    assert stage.api.count("editMessageText") == 0


async def test_an_image_that_telegram_does_not_want_leaves_the_card_as_text(stage: Stage) -> None:
    digest = keep(stage, b"no picture at all", "home.png", "image/png")
    async with stage.door() as door:
        approval, card = await announced(stage, door, evidence={"sitio": digest})
        assert stage.api.file(ANA, card) is None
        stage.api.tap_button(ANA, card, APPROVE)
        await settle(door)
    assert "Aprobada" in stage.api.text(ANA, card)
    assert stage.look(approval.id).state is ApprovalState.APPROVED
    assert stage.count_rows(telegram_messages, telegram_messages.c.photo == NO_PHOTO) == 1


@pytest.mark.parametrize("what", ["removed", "damaged", "unknown"])
async def test_an_image_that_is_not_kept_here_any_more_holds_nothing_up(stage: Stage, what: str) -> None:
    digest = keep(stage, png(), "home.png", "image/png") if what != "unknown" else "ab" * 32
    path = stage.folder.path(digest)
    if what == "removed":
        path.unlink()
    elif what == "damaged":
        path.write_bytes(b"x")
    async with stage.door() as door:
        approval, card = await announced(stage, door, evidence={"sitio": digest})
    assert approval.id in stage.api.text(ANA, card)
    assert stage.api.file(ANA, card) is None


async def test_details_bring_images_files_and_what_no_message_can_hold(stage: Stage) -> None:
    picture = keep(stage, png(9), "home.png", "image/png")
    table = keep(stage, b"a;b\n1;2\n", "../../números 2026.csv", "text/csv")
    evidence = {"sitio": picture, "datos": table, "notas": "ñ" * 5000}
    async with stage.door() as door:
        approval, card = await announced(stage, door, evidence=evidence, reason="r" * 4000)
        stage.api.tap_button(ANA, card, DETAILS)
        await settle(door)
    details, whole, image, document = stage.api.shown(ANA)[-4:]
    assert "notas: ñññ" in stage.api.text(ANA, details)
    files = [stage.api.file(ANA, number) for number in (whole, image, document)]
    assert [file.name for file in files if file] == [f"{approval.id}.txt", "photo", "números_2026.csv"]
    text = files[0].data.decode() if files[0] else ""
    assert "ñ" * 5000 in text
    assert "r" * 4000 in text
    assert files[2] is not None
    assert files[2].data == b"a;b\n1;2\n"
    assert stage.api.text(ANA, document) == "datos"


async def test_a_card_whose_photo_cannot_be_uploaded_comes_without_it(stage: Stage) -> None:
    digest = keep(stage, png(), "home.png", "image/png")
    async with stage.door() as door:
        await greet(stage, door)
        for _ in range(3):
            stage.api.fail_next("sendPhoto", Failure(502, "Bad Gateway"))
        approval = stage.ask(evidence={"sitio": digest})
        for _ in range(3):
            with pytest.raises(TelegramAway):
                await door.outbox.run_pass()
        await settle(door)
    assert approval.id in stage.last_text()
    assert stage.api.count("sendPhoto") == 3
