"""When a schedule is due. Pure.

Cron expressions mean what they mean to Debian's cron (cronsim keeps to it, https://github.com/cuu508/cronsim): a
fixed time that the clock leaps over in spring comes right after the gap, one that comes twice in autumn counts the
first time, and "every half hour" goes by real time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from master.schedules.records import Missed, Overlap
from tasks.errors import InvalidInput
from tasks.record import Record

#: Later than this the moment was missed: a master that was started again is back before.
LATE = timedelta(minutes=5)

_NAMED = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
}


class Rule(Record):
    """When, and what about the special cases."""

    cron: str
    zone: str
    missed: Missed
    overlap: Overlap


class Decision(Record):
    """About a schedule that is due."""

    #: The moment that is decided about: the latest that has come.
    due_at: datetime
    #: Why it is not started; empty: it is.
    skip: str
    next_at: datetime


def check_rule(cron: str, zone: str, now: datetime) -> str:
    """The expression as it is kept. ``InvalidInput`` when it or the zone is none, or it never comes."""
    written = _NAMED.get(cron.strip().lower(), " ".join(cron.split()))
    if len(written.split()) != 5:
        raise InvalidInput(
            f"{cron[:80]!r} is no schedule: write minute, hour, day, month and weekday, such as '0 3 * * *' for "
            f"three at night, or one of {', '.join(_NAMED)}"
        )
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        raise InvalidInput(f'{zone[:80]!r} is no time zone such as "Europe/Madrid"') from None
    try:
        next_due(written, zone, now)
    except (CronSimError, StopIteration, OverflowError) as error:
        why = str(error) or "it never comes"
        raise InvalidInput(f"{cron[:80]!r} is no schedule ({why}): try '0 3 * * *'") from None
    return written


def next_due(cron: str, zone: str, after: datetime) -> datetime:
    """The first moment behind ``after``, in UTC."""
    return next(CronSim(cron, after.astimezone(ZoneInfo(zone)))).astimezone(UTC)


def last_due(cron: str, zone: str, now: datetime) -> datetime:
    """The latest moment that has come at ``now``, in UTC."""
    # A little ahead, and then on from there: the expression's own way over changes of the clock is forward.
    start = next(CronSim(cron, now.astimezone(ZoneInfo(zone)), reverse=True)).astimezone(UTC)
    found = next_due(cron, zone, start - timedelta(hours=3))
    if found > now:
        return start
    while (following := next_due(cron, zone, found)) <= now:
        found = following
    return found


def decide(rule: Rule, next_at: datetime, now: datetime, still_open: str) -> Decision:
    """What to do about a schedule whose ``next_at`` has come. ``still_open``: what of it still goes on, or ""."""
    due_at = max(next_at, last_due(rule.cron, rule.zone, now))
    skip = ""
    if now - due_at > LATE and rule.missed is Missed.SKIP:
        skip = "missed: the master was away"
    elif still_open and rule.overlap is Overlap.SKIP:
        skip = f"the last one still goes on: {still_open}"
    return Decision(due_at=due_at, skip=skip, next_at=next_due(rule.cron, rule.zone, now))
