"""Evidence that is more than a line: images are shown, other artifacts sent as files."""

from __future__ import annotations

from sqlalchemy import Connection, select

from master.approvals import Approval
from master.store.tables import artifacts
from master.telegram.cards import is_digest
from tasks.record import Record

#: https://core.telegram.org/bots/api#sending-files
MAX_PHOTO_BYTES = 10 * 1024 * 1024
MAX_DOCUMENT_BYTES = 50 * 1024 * 1024
_PHOTOS = frozenset({"image/png", "image/jpeg", "image/webp"})


class Evidence(Record):
    """An artifact that a request shows as evidence."""

    label: str
    digest: str
    name: str
    media_type: str
    size: int

    @property
    def is_photo(self) -> bool:
        return self.media_type in _PHOTOS and 0 < self.size <= MAX_PHOTO_BYTES

    @property
    def can_be_sent(self) -> bool:
        """Telegram takes no empty file and none above its limit."""
        return 0 < self.size <= MAX_DOCUMENT_BYTES


def find_evidence(connection: Connection, approval: Approval) -> list[Evidence]:
    """The artifacts among a request's evidence, in its order. What is not kept here is left out."""
    digests = {value for value in approval.evidence.values() if is_digest(value)}
    if not digests:
        return []
    rows = connection.execute(select(artifacts).where(artifacts.c.digest.in_(digests)))
    known = {row.digest: row for row in rows}
    return [
        Evidence(
            label=label,
            digest=digest,
            name=known[digest].name,
            media_type=known[digest].media_type,
            size=known[digest].size,
        )
        for label, digest in approval.evidence.items()
        if digest in known
    ]
