"""``d8 logs``: what the master's parts say."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from tasks.errors import NotFound

app = typer.Typer()

#: The time with which a line begins, or which a line of JSON has as ``at``.
_TIME = re.compile(r'(?:^|"at": ")(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)')
_LOOK_EVERY_S = 0.3
#: No more of a file's end is read than this.
_MOST_BYTES = 4 * 2**20


@app.command()
def logs(
    part: Annotated[str, typer.Argument(help="Only this part's: api, duties, broker, worker-NAME ...")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    run: Annotated[str, typer.Option(help="Only lines that name this run.")] = "",
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=0, max=100_000, help="How many to begin with.")
    ] = 50,
) -> None:
    """Show what the parts of this home's master have logged, in order of time."""
    from master.settings import load_settings

    folder = load_settings().log_folder
    files = find_logs(folder, part)
    width = max(len(path.stem) for path in files)
    ends: dict[Path, tuple[int, int]] = {}
    found: list[tuple[str, str, str]] = []
    for path in files:
        text, ends[path] = read_end(path)
        found += ((at, path.stem, line) for at, line in timed(text) if run in line)
    # Of equal times the order of each file stays: sorting is stable.
    for _, name, line in sorted(found, key=lambda item: item[0])[len(found) - min(lines, len(found)) :]:
        _show(name, line, 0 if part else width)
    while follow:
        time.sleep(_LOOK_EVERY_S)
        for path in find_logs(folder, part):
            text, ends[path] = read_new(path, ends.get(path, (0, 0)))
            for line in text.splitlines():
                if run in line:
                    _show(path.stem, line, 0 if part else width)


def _show(name: str, line: str, width: int) -> None:
    sys.stdout.write(f"{name:<{width}}  {line}\n" if width else line + "\n")
    sys.stdout.flush()


def find_logs(folder: Path, part: str) -> list[Path]:
    """The logs of this home, or of one part. ``NotFound`` names those that there are."""
    files = sorted(folder.glob("*.log"))
    chosen = [path for path in files if part in ("", path.stem)]
    if not files:
        raise NotFound(f"nothing has been logged in {folder}: 'd8 up' starts the master")
    if not chosen:
        raise NotFound(f"no part is called {part!r}: there are {', '.join(path.stem for path in files)}")
    return chosen


def read_end(path: Path) -> tuple[str, tuple[int, int]]:
    """The end of a log in whole lines, and where it was left: (the file's number, position)."""
    with path.open("rb") as file:
        number, size = _identity(path)
        start = max(0, size - _MOST_BYTES)
        file.seek(start)
        data = file.read(size - start)
    if start:
        data = data.partition(b"\n")[2]
    whole = data.rpartition(b"\n")[0]
    rest = len(data) - len(whole) - 1 if whole else len(data)
    return whole.decode(errors="replace"), (number, size - max(0, rest))


def read_new(path: Path, left: tuple[int, int]) -> tuple[str, tuple[int, int]]:
    """Whole lines that came since, also when the file was begun anew."""
    number, size = _identity(path)
    position = left[1] if left[0] == number and left[1] <= size else 0
    if size == position:
        return "", (number, position)
    with path.open("rb") as file:
        file.seek(position)
        data = file.read(min(size - position, _MOST_BYTES))
    whole = data[: data.rfind(b"\n") + 1]
    return whole.decode(errors="replace"), (number, position + len(whole))


def timed(text: str) -> Iterator[tuple[str, str]]:
    """Each line with its time; one that has none, such as a traceback's, belongs to the one before."""
    at = ""
    for line in text.splitlines():
        if found := _TIME.search(line):
            at = found[1]
        yield at, line


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_ino, found.st_size
