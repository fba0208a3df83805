"""``d8 worker join``: an invite becomes a membership."""

from __future__ import annotations

import hashlib
import socket
from urllib.parse import urlsplit

from tasks.build import current_build
from tasks.errors import InvalidInput, Refused, Unreachable
from tasks.protocol import Redeem
from worker.joined import Membership, find_membership, keep_membership
from worker.master_client import MasterClient, patiently
from worker.naming import worker_name
from worker.settings import load_worker_settings


def join_fleet(master_url: str, code: str, name: str) -> str:
    """Redeem the invite and keep what it gives; returns what to do next, in words. The invite is not used
    up when the master does not answer."""
    if urlsplit(master_url).scheme not in ("http", "https") or not urlsplit(master_url).hostname:
        raise InvalidInput(f"{master_url!r} is not a master's address: it looks like http://pi.local:7500")
    token, _, fingerprint = code.partition(".")
    if len(token) < 8 or len(fingerprint) != 32:
        raise InvalidInput("this is not a whole invite code: copy the line that 'd8 worker invite' printed")
    settings = load_worker_settings().model_copy(update={"master_url": master_url})
    chosen = worker_name(name or socket.gethostname())
    client = MasterClient(settings)
    redeem = Redeem(invite=token, worker=chosen)
    try:
        joined = patiently(lambda: client.redeem(redeem), tries=3, what="join")
    except Unreachable as error:
        raise Unreachable(
            f"{error}: check that the master runs, that D8_HOST there is not 127.0.0.1, and that no firewall "
            f"is in between; the invite is still good"
        ) from error
    if hashlib.sha256(bytes.fromhex(joined.release_key)).hexdigest()[:32] != fingerprint:
        raise Refused(
            f"what answers at {master_url} is not the master that made this invite (its key is another): "
            f"nothing was kept; remove worker {chosen!r} there if you know it"
        )
    earlier = find_membership(settings.home)
    keep_membership(settings.home, Membership(master_url=master_url.rstrip("/"), joined=joined))
    again = f" (was {earlier.joined.worker!r} at {earlier.master_url})" if earlier is not None else ""
    here = current_build().id
    differs = (
        "" if here == joined.build else f" Its build is {joined.build}, here is {here}: it will be updated."
    )
    return f"This machine is worker {joined.worker!r}{again}.{differs} Start it with 'd8 worker start'."
