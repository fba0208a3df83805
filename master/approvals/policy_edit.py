"""Changes ``policy.toml``: checked before it is written, whole or not at all, with the one before kept."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path

from master.approvals.policy import Policy
from master.approvals.policy_file import parse_policy
from master.store.artifacts import write_whole
from tasks.errors import InvalidInput, NotFound, Refused, Unhealthy

#: A file that is larger was not written by a person.
MOST_BYTES = 64 * 1024

#: To begin with.
EXAMPLE = """\
time_zone = "Europe/Madrid"
quiet_hours = "22:00-08:00"
daily_questions = 20
digest_at = "18:00"

[people]
ana = ["telegram:4711", "owner:ana"]

[PAYMENT]
expires = "3d"
tiers = [{ above = "100.00 EUR", quorum = 2 }]

[[budgets]]
category = "hosting"
month = "50.00 EUR"
automatic_up_to = "2.00 EUR"

[prices]
kwh = "0.25 EUR"
"""


def read_text(path: Path) -> tuple[str, str]:
    """The file and the SHA-256 of it; both of the empty text where there is none."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        data = b""
    except OSError as error:
        raise Unhealthy(
            f"{path} cannot be read ({error.strerror}): make it readable for who runs d8"
        ) from None
    return data.decode("utf-8", "replace"), hashlib.sha256(data).hexdigest()


def change_policy(path: Path, text: str, *, before: str = "") -> Policy:
    """Replace the rules; what they were is at ``previous_of(path)`` from now on.

    ``InvalidInput`` says what is wrong with the text. ``before`` is the digest of what was shown to who
    changed it ("": not asked): ``Refused`` when the file is another one by now.
    """
    text = text.replace("\r\n", "\n").rstrip("\n") + "\n" if text.strip() else ""
    if len(text.encode()) > MOST_BYTES:
        raise InvalidInput(f"the rules have {len(text.encode())} bytes: {MOST_BYTES} are the most")
    policy = parse_policy(text, path.name)
    known, digest = read_text(path)
    if before and before != digest:
        raise Refused(
            f"{path} was changed after this page was opened: open it again, and make your change there"
        )
    if known != text:
        with _written(path):
            write_whole(previous_of(path), known.encode(), mode=0o600)
            write_whole(path, text.encode(), mode=0o600)
    return policy


def undo_policy(path: Path) -> Policy:
    """Change back to the rules before; doing it again changes forth. ``NotFound``: there are none."""
    previous = previous_of(path)
    if not previous.exists():
        raise NotFound("these rules were never changed here: there are none to go back to")
    return change_policy(path, read_text(previous)[0])


def previous_of(path: Path) -> Path:
    return path.with_name(path.name + ".previous")


@contextlib.contextmanager
def _written(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unhealthy(
            f"{path} cannot be written ({error.strerror}): make the folder yours, or make room on that disk"
        ) from None
