"""The token that opens the model server's door to the network."""

from __future__ import annotations

import secrets
from pathlib import Path

from tasks.errors import InvalidInput
from tasks.files import read_text_or_empty
from worker.joined import write_secret


def read_token(path: Path | None) -> str:
    """The token that opens the door. ``InvalidInput`` where there is none: it never stands open."""
    token = read_text_or_empty(path) if path is not None else ""
    if not token:
        where = f"{path} is missing or empty" if path is not None else "--http-token-file is not given"
        raise InvalidInput(
            f"the model server listens on the network only with a token, and {where}: name a file with one, "
            "readable by you alone"
        )
    return token


def make_token(path: Path) -> Path:
    """The file at ``path`` with the token, made once, readable by its owner alone."""
    if not read_text_or_empty(path):
        write_secret(path, f"d8{secrets.token_urlsafe(32)}")
    return path


def http_options(address: str, token_file: Path) -> tuple[str, ...]:
    """The server's options to listen at ``address`` as well, none for ""; makes the token where it is missing."""
    if not address:
        return ()
    return ("--http", address, "--http-token-file", str(make_token(token_file)))
