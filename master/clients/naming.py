"""The id of a project: readable, unique, and safe as a folder name whatever the business is called."""

from __future__ import annotations

import hashlib
import re
import unicodedata

_SLUG_CHARACTERS = 31
_SUFFIX_CHARACTERS = 8


def project_id(name: str, brief_sha256: str, ordinal: int) -> str:
    """``panaderia-la-espiga-3f2a91c0``: 1 to 40 characters of ``a-z0-9-``.

    The suffix tells briefs apart, and the deliveries of one brief (``ordinal``, from 1).
    """
    suffix = hashlib.sha256(f"{brief_sha256}:{ordinal}".encode("ascii")).hexdigest()[:_SUFFIX_CHARACTERS]
    return "-".join(part for part in (_slug(name), suffix) if part)


def _slug(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode("ascii").lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:_SLUG_CHARACTERS].strip("-")
