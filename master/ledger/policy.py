"""The money's part of ``$D8_HOME/policy.toml``: budgets and prices."""

from __future__ import annotations

import tomllib
from pathlib import Path

from master.ledger.budgets import BudgetLine, read_budgets
from master.ledger.prices import Prices, read_prices
from tasks.errors import InvalidInput
from tasks.record import Record

FILE_NAME = "policy.toml"


class MoneyPolicy(Record):
    budgets: tuple[BudgetLine, ...] = ()
    prices: Prices = Prices()


def read_money_policy(path: Path) -> MoneyPolicy:
    """What the file says about money; without a file, no limits and no prices. ``InvalidInput`` names the
    entry that is wrong: nothing is counted under rules that cannot be read."""
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return MoneyPolicy()
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be read ({error.strerror}): make it readable for the master"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} is not TOML ({error}): correct that line") from None
    return MoneyPolicy(
        budgets=read_budgets(given.get("budgets", []), str(path)),
        prices=read_prices(given.get("prices", {}), str(path)),
    )
