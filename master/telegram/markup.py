"""Foreign text made fit for a Telegram message in HTML mode.

Telegram counts 4096 UTF-16 code units after the entities are parsed
(https://core.telegram.org/bots/api#sendmessage), so text is cut before it is escaped.
"""

from __future__ import annotations

import html
import re
import unicodedata

MAX_MESSAGE_UNITS = 4096
MAX_CALLBACK_ANSWER = 200

MAX_CAPTION_UNITS = 1024

#: Taken out: control characters, marks that turn the direction of what follows (a title must not rewrite
#: the amount beside it), and two combining lines that Telegram drops by itself.
_DROPPED = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u0333\u033f]"
)
_LINE_ENDS = re.compile("\r\n|[\r\x85\u2028\u2029]")
#: Telegram drops the ring where it stands alone (``clean_input_string`` in td/telegram/misc.cpp).
_RING = "\u030a"


def clean(text: str) -> str:
    """The text as a reader will see it: Telegram changes nothing of it any more.

    Lines stay, tabs become spaces, lone surrogates question marks. Accents are joined to their letters.
    """
    valid = text.encode("utf-8", "replace").decode("utf-8").replace("\t", " ")
    joined = unicodedata.normalize("NFC", _DROPPED.sub("", _LINE_ENDS.sub("\n", valid)))
    return unicodedata.normalize("NFC", joined.replace(_RING, "")) if _RING in joined else joined


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
