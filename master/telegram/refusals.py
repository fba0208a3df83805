"""What was not accepted: one row for each person and reason, however often they try.

A list of every try would let a stranger fill the disk.
"""

from __future__ import annotations

import enum
import logging
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from master.events import record_event
from master.telegram.tables import telegram_refusals
from tasks.log import say

log = logging.getLogger(__name__)

#: Further people are counted together, as user 0.
MOST_ROWS = 5000
OTHERS = 0

#: The same trouble of the same person is told again after so long.
_NEWS_AFTER = timedelta(hours=1)


class Reason(enum.StrEnum):
    #: Not one of D8_TELEGRAM_USERS.
    STRANGER = "stranger"
    #: In a group that is not one of D8_TELEGRAM_GROUPS.
    GROUP = "group"
    #: Nothing that Telegram's own clients send.
    MALFORMED = "malformed"
    #: A button that this bot did not sign.
    FORGED = "forged"
    #: No such request.
    UNKNOWN = "unknown"
    #: The request was changed since the button was shown.
    STALE = "stale"
    #: It was decided, or done, before.
    REPLAYED = "replayed"
    #: The policy lets others decide this.
    NOT_A_DECIDER = "not_a_decider"
    #: No budget line has room for it.
    NO_BUDGET = "no_budget"
    #: A command without what it needs, or with what cannot be read.
    INCOMPLETE = "incomplete"
    #: Anything else that was refused, such as more money than was approved.
    REFUSED = "refused"


def count_refusal(
    connection: Connection, user_id: int, reason: Reason, now: datetime, *, sample: str = ""
) -> bool:
    """Count what was not accepted; True when it is news: the first in an hour of this person and kind.

    ``sample`` is the newest try, cut to what a button can hold.
    """
    table = telegram_refusals.c
    found = connection.execute(
        select(table.last_at).where(table.user_id == user_id, table.reason == reason)
    ).scalar()
    if found is None:
        return _begin(connection, user_id, reason, now, sample)
    connection.execute(
        update(telegram_refusals)
        .where(table.user_id == user_id, table.reason == reason)
        .values(count=table.count + 1, last_at=now, sample=sample[:64])
    )
    return bool(now - found >= _NEWS_AFTER)


def _begin(connection: Connection, user_id: int, reason: Reason, now: datetime, sample: str) -> bool:
    rows = connection.execute(select(func.count()).select_from(telegram_refusals)).scalar_one()
    if rows >= MOST_ROWS and user_id != OTHERS:
        return count_refusal(connection, OTHERS, reason, now, sample=sample)
    try:
        with connection.begin_nested():
            connection.execute(
                insert(telegram_refusals).values(
                    user_id=user_id, reason=reason, count=1, first_at=now, last_at=now, sample=sample[:64]
                )
            )
    except IntegrityError:  # another process was faster
        return count_refusal(connection, user_id, reason, now, sample=sample)
    record_event(connection, "telegram_refused", now, user=user_id, reason=str(reason))
    say(log, logging.WARNING, "telegram_refused", user=user_id, reason=str(reason))
    return True
