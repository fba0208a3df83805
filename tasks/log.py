"""Logs: one constant event name, with ids as fields, readable by people and by grep."""

from __future__ import annotations

import logging
import sys
from typing import Any


def say(logger: logging.Logger, level: int, event: str, **fields: Any) -> None:
    """``say(log, logging.INFO, "step_claimed", step=7, worker="garage")``

    Expected trouble is a warning; an error means that a person must look.
    """
    if logger.isEnabledFor(level):
        text = " ".join([event, *(f"{name}={_shown(value)}" for name, value in fields.items())])
        logger.log(level, text, extra={"action": event})


def _shown(value: Any) -> str:
    text = str(value)
    return repr(text) if not text or any(c.isspace() or not c.isprintable() for c in text) else text


def configure_logging(level: str = "INFO") -> None:
    """Plain lines on standard error; the supervisor or the container keeps them."""
    logging.basicConfig(
        level=level,
        stream=sys.stderr,
        format="%(asctime)s %(levelname).1s %(name)s %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S",
        force=True,
    )
    # These name URLs, which may hold secrets, and say one line per request.
    for chatty in ("httpx", "httpcore", "urllib3", "uvicorn.access", "celery.beat"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
