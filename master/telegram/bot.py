"""The Telegram door as one process: settings in, loops running, until it is asked to stop."""

from __future__ import annotations

import asyncio
import logging
import random
import signal

from master.approvals import ApprovalState, PolicyFile, list_approvals
from master.clock import utc_now
from master.settings import Settings
from master.store import Database
from master.store.artifacts import ArtifactFolder
from master.telegram.api import open_api
from master.telegram.backoff import retry_delay_s
from master.telegram.callbacks import callback_key
from master.telegram.poll import Door
from master.telegram.redact import guard_logs
from master.telegram.spending import find_spending
from master.telegram.status import count_facts
from master.telegram.wake import Waker
from master.telegram.ways import Ways
from master.telegram.webhook import find_webhook
from tasks.log import say

log = logging.getLogger(__name__)


def run(settings: Settings, database: Database) -> None:
    """Serve until SIGTERM or SIGINT. Returns at once when no token is set.

    ``TokenRefused`` when Telegram does not know the token; an outage of Telegram or of the network is
    waited for.
    """
    token = settings.telegram_token.get_secret_value().strip() if settings.telegram_token else ""
    if not token:
        say(log, logging.INFO, "telegram_off", why="D8_TELEGRAM_TOKEN is not set")
        return
    guard_logs(token)
    if not settings.telegram_users:
        say(
            log,
            logging.WARNING,
            "telegram_nobody_allowed",
            remedy="set D8_TELEGRAM_USERS to your numeric user id: write to the bot and it is logged here",
        )
    waker = Waker(settings, database)
    try:
        with database.read() as connection:
            if list_approvals(connection, ApprovalState.PENDING, limit=1):
                waker.get_ready()
        asyncio.run(_serve(settings, database, token, waker))
    finally:
        waker.close()


async def _serve(settings: Settings, database: Database, token: str, waker: Waker) -> None:
    stop = asyncio.Event()
    jitter = random.SystemRandom()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    policy = PolicyFile(settings.policy_path)
    async with open_api(token, settings.telegram_api_url) as api:
        door = Door(
            database=database,
            api=api,
            users=frozenset(settings.telegram_users),
            ways=Ways(
                key=callback_key(token),
                facts=count_facts,
                policy=policy,
                spending=find_spending(policy),
                groups=frozenset(settings.telegram_groups),
            ),
            folder=ArtifactFolder(settings.artifact_folder),
            clock=utc_now,
            webhook=find_webhook(settings),
            expect_answers=waker.get_ready,
            retry_delay_s=lambda failures: retry_delay_s(failures, jitter.random()),
        )
        say(log, logging.INFO, "telegram_started", users=len(settings.telegram_users))
        await door.run(stop)
    say(log, logging.INFO, "telegram_stopped")
