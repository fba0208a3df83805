"""What a worker may be called."""

from __future__ import annotations

import re


def worker_name(text: str) -> str:
    """A worker's name from a host's name, or whatever else its owner gave."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:63] or "worker"
