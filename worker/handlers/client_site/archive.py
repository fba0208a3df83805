"""Files to zip and back. The same files give the same bytes, so a rebuilt site is the same artifact."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

#: The oldest time a zip can hold: archives must not differ by when they were made.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def pack(files: Mapping[str, bytes]) -> bytes:
    """A zip of the files (path -> content), in the order of their paths."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(files):
            member = zipfile.ZipInfo(path, date_time=_EPOCH)
            # Stored, not deflated: compressors differ between machines, and the site is small.
            member.compress_type = zipfile.ZIP_STORED
            member.create_system = 3
            member.external_attr = 0o100644 << 16
            archive.writestr(member, files[path])
    return buffer.getvalue()


def unpack(data: bytes) -> dict[str, bytes]:
    """The files in a zip made by ``pack``."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
