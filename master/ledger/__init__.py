"""The money: double entry in integer minor units with a currency, only ever added to, chained by hashes."""

from master.ledger.budgets import BudgetExceeded, BudgetLine, read_budgets
from master.ledger.costs import post_costs, project_of
from master.ledger.money import Money, format_money, parse_money
from master.ledger.movements import record_movement, reverse
from master.ledger.prices import Prices, read_prices
from master.ledger.spending import has_room, release, reserve, settle
from master.ledger.verify import Verification, verify_ledger

__all__ = [
    "BudgetExceeded",
    "BudgetLine",
    "Money",
    "Prices",
    "Verification",
    "format_money",
    "has_room",
    "parse_money",
    "post_costs",
    "project_of",
    "read_budgets",
    "read_prices",
    "record_movement",
    "release",
    "reserve",
    "reverse",
    "settle",
    "verify_ledger",
]
