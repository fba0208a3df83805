"""A form that brings files: its fields and files, bounded in every way before anything is kept."""

from __future__ import annotations

import dataclasses

from starlette.requests import Request

from master.web.forms import read_files
from tasks.errors import InvalidInput


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


async def read_upload(request: Request, most_bytes: int) -> Sent:
    """A form with files, of at most so many bytes in all. ``InvalidInput`` when it is larger or cannot be read."""
    form = await read_files(request, most_bytes)
    values: dict[str, list[str]] = {}
    files: dict[str, list[SentFile]] = {}
    for name, value in form.multi_items():
        if isinstance(value, str):
            values.setdefault(name, []).append(value)
        elif value.filename:
            files.setdefault(name, []).append(SentFile(name=_bare(value.filename), data=await value.read()))
    await form.close()
    return Sent(fields={name: given[-1] for name, given in values.items()}, values=values, files=files)


def _bare(filename: str) -> str:
    """The last part of the name that the browser gave, printable and of a sane length."""
    last = filename.replace("\\", "/").rpartition("/")[2]
    return "".join(character for character in last if character.isprintable())[-100:] or "file"
