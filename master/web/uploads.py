"""A form that brings files: its fields and files, bounded in every way before anything is kept."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from tasks.errors import InvalidInput

_MOST_FIELDS = 40


@dataclasses.dataclass(frozen=True, kw_only=True)
class SentFile:
    """A file as the browser sent it; its name without any folder."""

    name: str
    data: bytes


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sent:
    """What a form sent. Of fields of one name, the last counts in ``fields``."""

    fields: dict[str, str]
    #: Fields by name, all values of each.
    values: dict[str, list[str]]
    #: Files that were chosen, by the name of their field.
    files: dict[str, list[SentFile]]

    def only_file(self, field: str, what: str) -> SentFile:
        """``InvalidInput`` when none was chosen."""
        if not self.files.get(field):
            raise InvalidInput(f"no file was chosen: choose {what} and send the form again")
        return self.files[field][0]


async def read_upload(request: Request, *, most_bytes: int, most_files: int = 1) -> Sent:
    """``InvalidInput`` when it is larger than ``most_bytes`` in all, has too many parts or cannot be read."""
    parser = MultiPartParser(
        request.headers,
        _bounded(request, most_bytes),
        max_files=most_files,
        max_fields=_MOST_FIELDS,
        max_part_size=most_bytes,
    )
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError) as error:
        raise InvalidInput(
            f"the form could not be read ({error}): open the page again, choose at most {most_files} "
            f"{'file' if most_files == 1 else 'files'} and repeat it"
        ) from None
    values: dict[str, list[str]] = {}
    files: dict[str, list[SentFile]] = {}
    try:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                if value.filename:
                    files.setdefault(name, []).append(
                        SentFile(name=_bare(value.filename), data=await value.read())
                    )
            else:
                values.setdefault(name, []).append(value)
    finally:
        await form.close()
    return Sent(fields={name: given[-1] for name, given in values.items()}, values=values, files=files)


async def _bounded(request: Request, most_bytes: int) -> AsyncGenerator[bytes, None]:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most_bytes:
            raise InvalidInput(
                f"the form is larger than {most_bytes / 2**20:.0f} MiB: send a smaller file, or use the command line"
            )
        yield chunk


def _bare(filename: str) -> str:
    """The last part of the name that the browser gave, printable and of a sane length."""
    last = filename.replace("\\", "/").rpartition("/")[2]
    return "".join(character for character in last if character.isprintable())[-100:] or "file"
