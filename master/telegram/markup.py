"""Foreign text made fit for a Telegram message in HTML mode.

Telegram counts 4096 UTF-16 code units after the entities are parsed
(https://core.telegram.org/bots/api#sendmessage), so text is cut before it is escaped.
"""

from __future__ import annotations

import html
import unicodedata

MAX_MESSAGE_UNITS = 4096
MAX_CALLBACK_ANSWER = 200

MAX_CAPTION_UNITS = 1024

#: Marks that turn the direction of what follows: a title must not rewrite the amount beside it.
_DIRECTION_MARKS = dict.fromkeys([0x200E, 0x200F, 0x061C, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
#: What Telegram changes or takes out by itself (``clean_input_string`` in td/telegram/misc.cpp): done
#: here, lengths are right and nothing that separates words is lost.
_AS_TELEGRAM = {0x0D: None, 0x09: " ", 0x2028: "\n", 0x2029: "\n", 0x0333: None, 0x033F: None, 0x030A: None}


def clean(text: str) -> str:
    """The text as a reader will see it: without control characters, direction overrides and lone surrogates.

    Lines stay. Accents that stand alone are joined to their letters (NFC), since Telegram drops the ring.
    """
    valid = text.encode("utf-8", "replace").decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    seen = unicodedata.normalize("NFC", valid).translate({**_DIRECTION_MARKS, **_AS_TELEGRAM})
    return "".join(c for c in seen if (c >= " " and not "\x7f" <= c <= "\x9f") or c == "\n")


def units(text: str) -> int:
    """Length in UTF-16 code units, as Telegram counts."""
    return len(text.encode("utf-16-le", "replace")) // 2


def clip(text: str, limit: int) -> str:
    """At most ``limit`` UTF-16 code units, with an ellipsis where something was cut off."""
    if units(text) <= limit:
        return text
    kept = text.encode("utf-16-le", "replace")[: 2 * (limit - 1)]
    return kept.decode("utf-16-le", "ignore").rstrip() + "…"


def fit(text: str, limit: int) -> str:
    """Foreign text, cleaned, cut to ``limit`` units and escaped for HTML mode."""
    return html.escape(clip(clean(text).strip(), limit), quote=False)


def fit_line(text: str, limit: int) -> str:
    """The same on one line."""
    return fit(" ".join(clean(text).split()), limit)
