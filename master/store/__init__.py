"""The database: engine, transactions, tables, migrations."""

from master.store.database import Database, News, news_of
from master.store.writer import Writer

__all__ = ["Database", "News", "Writer", "news_of"]
