"""Tells the master's API what another process of the same machine has committed, so that it rings at once.

The Telegram door writes decisions into the database itself. Without this, the run that waits would go
on at the next sweep, seconds later; with it, in milliseconds. Lost news cost those seconds and no more.
"""

from __future__ import annotations

import json
import logging
import queue
import threading

import urllib3

from master.settings import Settings
from master.store import Database, News
from tasks.files import read_text_or_empty
from tasks.log import say

log = logging.getLogger("d8.messenger")

_TIMEOUT_S = 2.0


class Messenger:
    """One thread with one connection, beside a process that writes."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._settings = settings
        self._pool = urllib3.PoolManager(maxsize=1, retries=False, timeout=urllib3.Timeout(total=_TIMEOUT_S))
        self._news: queue.SimpleQueue[News | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="messenger", daemon=True)
        database.listeners.append(self._news.put)
        self._thread.start()

    def close(self) -> None:
        self._news.put(None)
        self._thread.join()
        self._pool.clear()

    def _work(self) -> None:
        while (news := self._news.get()) is not None:
            url = self._settings.find_master_url()
            token = read_text_or_empty(self._settings.secrets_folder / "owner.token")
            if not url or not token:
                continue
            body = {"runs": sorted(news.runs)[:1000], "dispatch": news.dispatch}
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            try:
                answer = self._pool.request("POST", f"{url}/api/news", body=json.dumps(body), headers=headers)
            except urllib3.exceptions.HTTPError as error:
                say(log, logging.WARNING, "news_not_told", why=type(error).__name__)
                continue
            if answer.status >= 300:
                say(log, logging.WARNING, "news_not_told", status=answer.status)
