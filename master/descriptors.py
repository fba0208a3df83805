"""Open files: every connection is one, and a process may have only so many."""

from __future__ import annotations

import logging
import resource

from tasks.log import say

log = logging.getLogger("d8.api")

#: More than a master's connections will ever be; some systems' hard limit is a thousand million.
_ENOUGH = 65_536
#: With fewer, some dozens of workers and open pages use them up.
_FEW = 4096


def raise_open_files_limit() -> int:
    """Raise this process's soft limit to the hard one (at most 65,536); returns what it is now. Says so in the
    log when that is little."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    limit = open_files_limit()
    if limit < _FEW:
        say(
            log,
            logging.WARNING,
            "few_open_files",
            limit=limit,
            remedy="each worker and each open page takes one: set LimitNOFILE=65536 in the service, or "
            "'ulimit -Hn 65536' where d8 up is started",
        )
    return limit


def open_files_limit() -> int:
    """How many files this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _ENOUGH if soft == resource.RLIM_INFINITY else soft
