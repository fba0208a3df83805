"""Load a ``.po`` catalogue into the standard library's ``gettext``.

Formats: https://www.gnu.org/software/gettext/manual/html_node/PO-Files.html and
https://www.gnu.org/software/gettext/manual/html_node/MO-Files.html
"""

from __future__ import annotations

import ast
import functools
import gettext
import io
import struct
from pathlib import Path

from tasks.errors import InvalidInput

FOLDER = Path(__file__).parent
DOMAIN = "telegram"
LANGUAGES = ("en", "es")

_MO_MAGIC = 0x950412DE


def choose_language(*wishes: str) -> str:
    """The first of ours in what was wished for, each an IETF language tag or an ``Accept-Language`` header;
    English when there is none."""
    for wish in wishes:
        for tag in sorted(wish.split(","), key=_weight, reverse=True):
            base = _base(tag.partition(";")[0].strip())
            if base in LANGUAGES:
                return base
    return LANGUAGES[0]


def _weight(tag: str) -> float:
    """The ``q`` of a language range (RFC 9110, 12.4.2): 1 without one, 0 for nonsense."""
    _, marked, value = tag.partition(";q=")
    try:
        return float(value) if marked else 1.0
    except ValueError:
        return 0.0


def _base(tag: str) -> str:
    return tag.replace("_", "-").partition("-")[0].lower()


def translations_for(language: str, domain: str = DOMAIN) -> gettext.NullTranslations:
    """The catalogue for an IETF language tag: ``es-MX`` reads ``es``; what we do not speak reads ``en``."""
    base = _base(language)
    return _load(base if base in LANGUAGES else LANGUAGES[0], domain)


@functools.cache
def _load(language: str, domain: str) -> gettext.NullTranslations:
    return gettext.GNUTranslations(io.BytesIO(compile_mo(read_catalogue(language, domain))))


def read_catalogue(language: str, domain: str) -> dict[str, str]:
    """The messages of ``DOMAIN.po`` and of its parts ``DOMAIN_*.po``."""
    return {key: value for part in read_parts(language, domain).values() for key, value in part.items()}


def read_parts(language: str, domain: str) -> dict[Path, dict[str, str]]:
    """The same by file. A message is to stand in one of them; a test says when it does not."""
    folder = FOLDER / language / "LC_MESSAGES"
    paths = sorted([*folder.glob(f"{domain}.po"), *folder.glob(f"{domain}_*.po")])
    return {path: parse_po(path.read_text(encoding="utf-8"), str(path)) for path in paths}


def parse_po(text: str, place: str) -> dict[str, str]:
    """Message id -> translation, as ``.mo`` files hold them: plural forms are joined by NUL.

    Fuzzy and empty translations are left out, so that the reader gets the English original.
    ``InvalidInput`` names the line.
    """
    messages: dict[str, str] = {}
    entry: dict[str, str] = {}
    fuzzy = False
    keyword = ""
    for number, raw in enumerate([*text.splitlines(), ""], start=1):
        line = raw.strip()
        if not line:
            _keep(messages, entry, fuzzy)
            entry, fuzzy, keyword = {}, False, ""
        elif line.startswith("#"):
            fuzzy = fuzzy or (line.startswith("#,") and "fuzzy" in line)
        else:
            if not line.startswith('"'):
                keyword, _, line = line.partition(" ")
            entry[keyword] = entry.get(keyword, "") + _unquote(line, keyword, f"{place}:{number}")
    return messages


def _unquote(quoted: str, keyword: str, place: str) -> str:
    known = keyword in ("msgid", "msgid_plural", "msgstr") or keyword.startswith("msgstr[")
    try:
        value = ast.literal_eval(quoted.strip()) if known else None
    except (SyntaxError, ValueError):
        value = None
    if not isinstance(value, str):
        raise InvalidInput(
            f'{place}: expected a line such as msgid "..." or msgstr "...", found {keyword} {quoted}: '
            f"correct the catalogue"
        )
    return value


def _keep(messages: dict[str, str], entry: dict[str, str], fuzzy: bool) -> None:
    if "msgid" not in entry or fuzzy:
        return
    if "msgid_plural" not in entry:
        key, value = entry["msgid"], entry.get("msgstr", "")
    else:
        key = f"{entry['msgid']}\0{entry['msgid_plural']}"
        forms = [entry[name] for name in sorted(entry) if name.startswith("msgstr[")]
        value = "\0".join(forms) if all(forms) else ""
    if value:
        messages[key] = value


def compile_mo(messages: dict[str, str]) -> bytes:
    """The catalogue in the binary form that ``gettext.GNUTranslations`` reads."""
    pairs = sorted((key.encode(), value.encode()) for key, value in messages.items())
    keys_at = 7 * 4
    values_at = keys_at + 8 * len(pairs)
    position = values_at + 8 * len(pairs)
    index, body = b"", b""
    for column in (0, 1):
        for pair in pairs:
            index += struct.pack("<II", len(pair[column]), position)
            body += pair[column] + b"\0"
            position += len(pair[column]) + 1
    return struct.pack("<7I", _MO_MAGIC, 0, len(pairs), keys_at, values_at, 0, keys_at) + index + body
