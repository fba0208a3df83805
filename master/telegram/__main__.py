"""``python -m master.telegram``: the Telegram door alone."""

from __future__ import annotations

import sys

from master.settings import load_settings
from master.store import Database
from master.telegram.bot import run
from tasks.errors import D8Error
from tasks.log import configure_logging


def main() -> int:
    configure_logging()
    try:
        settings = load_settings()
        database = Database(settings.sqlalchemy_url)
        try:
            run(settings, database)
        finally:
            database.close()
    except D8Error as error:
        sys.stderr.write(f"d8: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
