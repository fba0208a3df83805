"""One database, SQLite or Postgres, with two ways in: a read, or a write that is one transaction."""

from __future__ import annotations

import contextlib
import dataclasses
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, OperationalError

from tasks.errors import InvalidInput, Unhealthy

_NEWS = "d8_news"


@dataclasses.dataclass
class News:
    """What a committed write leaves to be done at once. Only a hint: a sweep finds it, too."""

    #: Runs whose next pass is due.
    runs: set[str] = dataclasses.field(default_factory=set)
    #: Steps became ready, or slots became free.
    dispatch: bool = False


class Database:
    """Opens connections; knows nothing of what is in the tables."""

    def __init__(self, url: str) -> None:
        """``url`` is SQLAlchemy's. Nothing connects until the first read or write."""
        try:
            self.url = make_url(url)
        except ArgumentError:
            raise InvalidInput(
                "D8_DATABASE_URL is not a database address: use sqlite:////path/file or "
                "postgresql+psycopg2://user@host/name"
            ) from None
        self.sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = _make_engine(self.url.render_as_string(hide_password=False), self.sqlite)
        #: Called with the news of each committed write that has any, in the thread that wrote.
        self.listeners: list[Callable[[News], None]] = []

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent view; nothing can be written."""
        with self._translated(), self.engine.connect() as connection, connection.begin():
            if self.sqlite:
                _begin_sqlite(connection, "BEGIN")
            yield connection

    @contextlib.contextmanager
    def write(self, *, durable: bool = True) -> Iterator[Connection]:
        """One transaction, committed at exit; then the listeners hear its news.

        A write that is not ``durable`` is atomic and survives the crash of any process, but a power
        cut may undo it together with all that came after it, until the next durable one. That is for
        what would be repeated anyway, such as a claim: on a small disk a flush takes milliseconds.
        """
        with self._translated(), self.engine.connect() as connection:
            news = connection.info[_NEWS] = News()
            with connection.begin():
                if self.sqlite:
                    # FULL: an acknowledged approval or result survives the plug being pulled, too.
                    _begin_sqlite(connection, "BEGIN IMMEDIATE", "FULL" if durable else "NORMAL")
                yield connection
        if news.runs or news.dispatch:
            for listener in self.listeners:
                listener(news)

    def close(self) -> None:
        self.engine.dispose()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (OperationalError, sqlite3.OperationalError) as error:
            raise Unhealthy(_explain(error, self.url.render_as_string(hide_password=True))) from error


def news_of(connection: Connection) -> News:
    """The news of the write that this connection is in; forgotten if it is rolled back."""
    news: News = connection.info[_NEWS]
    return news


def _make_engine(url: str, sqlite: bool) -> Engine:
    if not sqlite:
        # Read committed with conditional updates is what every write here is built on.
        return create_engine(url, pool_pre_ping=True, pool_size=8, max_overflow=8)
    engine = create_engine(url, connect_args={"timeout": 30.0, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        # The driver must not begin transactions by itself: a write takes its lock at the start
        # ("BEGIN IMMEDIATE"), or two readers that turn writers would fail each other at once.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        # Keep the log small on an SD card; ask for file sizes that stay bounded.
        cursor.execute("PRAGMA journal_size_limit=16777216")
        # 512 KiB for each connection, of which each thread has one; what is read often, the system keeps.
        cursor.execute("PRAGMA cache_size=-512")
        cursor.close()

    return engine


def _begin_sqlite(connection: Connection, begin: str, synchronous: str = "") -> None:
    """By the driver itself. A listener of SQLAlchemy's "begin" would do, but an engine that has one looks for
    listeners four times a statement, which is a tenth of what a step costs the master."""
    driver: Any = connection.connection.driver_connection
    if synchronous and connection.info.get("synchronous") != synchronous:
        driver.execute(f"PRAGMA synchronous={synchronous}")
        connection.info["synchronous"] = synchronous
    driver.execute(begin)


def _explain(error: OperationalError | sqlite3.OperationalError, url: str) -> str:
    text = str(error.orig if isinstance(error, OperationalError) else error).strip()
    if "full" in text:
        remedy = "free some space on that disk; nothing was half-written, and work goes on by itself then"
    elif "locked" in text:
        remedy = "another process holds it for over 30 s: see what 'd8 doctor' lists and stop the second one"
    elif "unable to open" in text:
        remedy = "check that the folder exists and that this user may write there"
    elif "no such table" in text or "UndefinedTable" in text:
        remedy = "start the master with 'd8 up', which brings it up to date"
    else:
        remedy = "check that the server runs and that D8_DATABASE_URL is right"
    return f"the database {url} refused ({text}): {remedy}"
