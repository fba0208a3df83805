"""The text of an export file, whatever its encoding. Pure."""

from __future__ import annotations

from tasks.errors import InvalidInput

MOST_BYTES = 32 * 2**20


def decode(data: bytes, name: str) -> str:
    """The text of an export: UTF-16 or UTF-8 with or without a byte order mark."""
    if not data.strip(b"\x00\xff\xfe\xef\xbb\xbf \r\n\t"):
        raise InvalidInput(f"{name}: the file is empty: export the keywords again and give that file")
    if len(data) > MOST_BYTES:
        raise InvalidInput(
            f"{name}: {len(data) // 2**20} MiB is more than a keyword export has (at most "
            f"{MOST_BYTES // 2**20} MiB): give the export itself, or split it"
        )
    encoding = _encoding(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InvalidInput(
            f"{name}:{line}: byte {error.start} is not {encoding.upper()}: save the file as UTF-8, or "
            f"give the "
            "Keyword Planner's own file as it was downloaded"
        ) from None
    return text.removeprefix("\ufeff")


def _encoding(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    # Without a mark: Latin text in UTF-16 has a zero in every second byte.
    head = data[:2000]
    if head[1::2].count(0) > len(head) // 4:
        return "utf-16-le"
    if head[0::2].count(0) > len(head) // 4:
        return "utf-16-be"
    return "utf-8"
