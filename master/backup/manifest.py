"""What a backup says about itself."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic import ValidationError

from tasks.errors import InvalidInput, Refused
from tasks.record import Record

#: Raised when a reader of the old format could misread the new one.
FORMAT = 1
MANIFEST = "manifest.json"
MANIFEST_MOST_BYTES = 512 * 2**20

_MEMBER = re.compile(
    r"manifest\.json|tables/[a-z0-9_]+/\d{6}\.jsonl|artifacts/[0-9a-f]{64}|secrets/[A-Za-z0-9][\w.-]*"
    r"|home/(?:d8\.env|local-workers)"
)


class ColumnShape(Record):
    name: str
    #: plain, boolean, time (seconds since the epoch), or json (its text is kept as it is).
    kind: str


class TableShape(Record):
    name: str
    columns: tuple[ColumnShape, ...]
    rows: int
    #: The column that the database numbers and the highest number given so far; "" and 0 without one.
    numbered: str = ""
    last_number: int = 0


class Member(Record):
    size: int
    sha256: str


class Manifest(Record):
    format: int
    #: The D8 build that wrote it, and its database's revision.
    build: str
    revision: str
    #: When the snapshot was taken, as ISO 8601 in UTC.
    made_at: str
    #: The kind of database that it was made from: sqlite or postgresql.
    database: str
    #: In the order in which rows can be inserted.
    tables: tuple[TableShape, ...]
    members: dict[str, Member]
    #: Artifacts that the database names and the folder no longer had.
    artifacts_missing: tuple[str, ...] = ()
    with_secrets: bool

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables)


def read_manifest(data: bytes) -> Manifest:
    """The manifest in these bytes. ``Refused``: of a newer format; ``InvalidInput``: it is none."""
    found = re.match(rb'\{"format":(\d{1,9}),', data)
    if found and int(found[1]) > FORMAT:
        raise Refused(
            f"the backup has format {int(found[1])} and this release reads up to {FORMAT}: update D8, then restore"
        )
    try:
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        raise InvalidInput(
            f"the backup's manifest cannot be read ({error.errors()[0]['msg']}): use another copy of the file"
        ) from None


def acceptable(name: str) -> bool:
    """Whether a backup may hold a member of this name: nothing may land outside its folder."""
    return _MEMBER.fullmatch(name) is not None


def require_known(revision: str, known: Sequence[str]) -> None:
    """``Refused`` when the tables in the backup are newer than this release's."""
    if revision not in known:
        raise Refused(
            f"the backup was made by a newer release (its database revision {revision} is unknown here, "
            f"the newest known is {known[-1]}): update D8, then restore; nothing was changed"
        )


def compare_members(manifest: Manifest, found: dict[str, Member]) -> None:
    """``InvalidInput`` names the first member that is missing, unexpected or changed."""
    for name in sorted({*manifest.members, *found}):
        if manifest.members.get(name) != found.get(name):
            raise InvalidInput(
                f"the backup is damaged: its part {name!r} is not what the manifest says; use another copy of the file"
            )
