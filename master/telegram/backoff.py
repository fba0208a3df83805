"""How long to wait before Telegram is asked again."""

from __future__ import annotations

FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 60.0


def retry_delay_s(failures: int, jitter: float) -> float:
    """Doubling from one second to a minute; ``jitter`` in [0, 1) takes away up to half.

    Full steps without jitter make every client of a recovered service come back at the same moment
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/, "equal jitter").
    """
    full = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(failures - 1, 16))
    return float(full * (1 - jitter / 2))
