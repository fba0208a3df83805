"""Ten thousand texts of any kind: none is refused, and each is read as it was meant."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterator

import pytest

from master.approvals import ApprovalState
from master.locale import translations_for
from master.telegram.api import open_api
from master.telegram.cards import CAPTION, FULL, SHORT
from master.telegram.markup import MAX_CAPTION_UNITS, MAX_MESSAGE_UNITS, clean, clip
from master.telegram.messages import Button
from master.telegram.texts import Texts
from tests.integration.bot_api import BotApi
from tests.integration.bot_html import CannotParse, clean_input, parse, utf16_units
from tests.integration.telegram.stage import ANA, TOKEN
from tests.unit.telegram.test_texts import NOW, make_approval

TEXTS = 10_000
SENT = 300
BOTH = tuple(Texts(translations_for(language)) for language in ("es", "en"))

PIECES = (
    list("_*[]()~`>#+-=|{}.!\\"),
    ["<b>", "</b>", "<", ">", "&", "&amp;", "&lt;", "&#60;", "&#x3c;", "<a href='x'>", "<!--", "]]>", '"'],
    ["😀", "👩‍🍳", "🏳️‍🌈", "🇨🇱", "❤️", "👍🏽", "𝔘𝔫𝔦", "\U0010fffd"],
    ["שלום", "مرحبا", "עברית 123", "\u202e", "\u202c", "\u2066", "\u2069", "\u200f", "\u061c"],
    ["\n", "\r\n", "\r", "\t", "\u2028", "\u2029", "\x00", "\x1b[31m", "\x85", "\x7f", "\ufeff", "\u00a0"],
    ["A\u030a", "n\u0303", "x\u0333", "y\u033f", "z\u030a", "Ａ", "ﬁ", "\ud800", "\udfff"],
    [
        "12.50 EUR",
        "Precio: $9.990",
        "áéíóúñ ¿qué?",
        "{id}",
        "{0}",
        "%s",
        "/aprobar x",
        "https://a.es/?a=1&b=2",
    ],
    [" ", "  ", "a", "palabra", "word", "中文字", "日本語"],
)


def fuzzed(seed: int) -> Iterator[str]:
    """Texts of every length up to 20 kB, of pieces that are dangerous alone or beside each other."""
    chance = random.Random(seed)
    for _ in range(TEXTS):
        longest = 20_000 if chance.random() < 0.01 else chance.choice((5, 40, 200, 900))
        kinds = chance.sample(PIECES, chance.randint(1, len(PIECES)))
        parts: list[str] = []
        size = 0
        while size < longest:
            part = chance.choice(chance.choice(kinds))
            if chance.random() < 0.1:
                part = chr(chance.randrange(1, 0x110000))
            parts.append(part)
            size += len(part.encode("utf-8", "replace"))
        yield "".join(parts)


def seen(text: str, limit: int) -> str:
    """What a reader should see of a text that may take up so much room."""
    return clip(clean(text).strip(), limit)


def test_no_text_is_refused_and_every_reader_sees_what_was_meant() -> None:
    for number, text in enumerate(fuzzed(seed=5)):
        texts = BOTH[number % 2]
        approval = make_approval(title=text, reason=text, tried=text[:50], note=text, decided_by="Ana")
        line = " ".join(clean(text).split())
        for size, most in (
            (SHORT, MAX_MESSAGE_UNITS),
            (FULL, MAX_MESSAGE_UNITS),
            (CAPTION, MAX_CAPTION_UNITS),
        ):
            plain, entities = parse(texts.card(approval, size))
            assert utf16_units(plain) <= most
            assert f"\n{clip(line, size.title)}\n" in plain
            assert seen(text, size.reason) in plain
            # Nothing of the text became a mark: only the type's, the id's, the title's and the cost's are there.
            assert sum(entity.tag == "b" for entity in entities) <= 3
        decided = approval.model_copy(
            update={"state": ApprovalState.REJECTED, "decided_at": NOW, "door": "x"}
        )
        for html, part in (
            (texts.decided(decided), seen(text, SHORT.note)),
            (texts.refused(text), seen(text, 400)[:-1]),
            (texts.ask_reason(approval), clip(line, 80)),
            (texts.pending([approval]), clip(line, 70)),
        ):
            plain, _ = parse(html)
            assert part in plain or not part
            assert utf16_units(plain) <= MAX_MESSAGE_UNITS


def test_a_cleaned_text_is_what_telegram_leaves_of_it() -> None:
    """So that lengths and meaning are known before anything is sent."""
    for text in fuzzed(seed=6):
        cleaned = clean(text)
        assert clean_input(cleaned) == cleaned
        assert clean(cleaned) == cleaned
        assert letters(cleaned) == letters(text)


def letters(text: str) -> list[str]:
    """What carries the meaning, whatever accents are joined to."""
    return [c for c in unicodedata.normalize("NFD", text) if c.isalnum()]


@pytest.mark.anyio
async def test_the_client_library_carries_them_unchanged() -> None:
    with BotApi(TOKEN) as server:
        async with open_api(TOKEN, server.url) as api:
            for number, text in enumerate(fuzzed(seed=7)):
                if number >= SENT:
                    break
                approval = make_approval(title=text, reason=text)
                html = BOTH[0].card(approval, SHORT)
                label = clip(clean(text), 30) or "x"
                sent = await api.send(ANA, html, (Button(label=label, data="d:x"),), ask_reply=False)
                assert seen(text, SHORT.reason) in server.text(ANA, sent)


@pytest.mark.parametrize(
    "text", ["<b>", "</b>", "a & b", "<script>x</script>", "<b><i></b></i>", "1 < 2", "&nope;"]
)
def test_the_strict_server_refuses_what_is_not_escaped(text: str) -> None:
    with pytest.raises(CannotParse):
        parse(text)
