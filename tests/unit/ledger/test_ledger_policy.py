"""Budgets and prices in policy.toml: read exactly, refused with the place."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from master.approvals import Policy, PolicyFile
from master.ledger.budgets import BudgetLine, limits_for
from master.ledger.money import Money
from master.ledger.prices import Prices, TokenPrice, read_prices
from tasks.errors import InvalidInput, Refused

WHOLE = """
time_zone = "Europe/Madrid"
[[budgets]]
category = "hosting"
month = "50.00 EUR"
automatic_up_to = "2.00 EUR"
[[budgets]]
month = "200.00 EUR"
[prices]
kwh = "0.25 EUR"
watts = 300
[prices.watts_of]
garage = 450
[prices.tokens."openai:https://host/v1#m"]
prompt = "0.15"
generated = 0.6
"""


def test_whole_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(WHOLE)
    policy = PolicyFile(path)()
    assert policy.budgets == (
        BudgetLine(category="hosting", currency="EUR", month_minor=5000, automatic_up_to_minor=200),
        BudgetLine(category="", currency="EUR", month_minor=20000),
    )
    assert policy.prices == Prices(
        currency="EUR",
        kwh=Decimal("0.25"),
        watts=Decimal(300),
        watts_of={"garage": Decimal(450)},
        tokens={"openai:https://host/v1#m": TokenPrice(prompt=Decimal("0.15"), generated=Decimal("0.6"))},
    )


def test_without_a_file_nothing_is_limited_and_nothing_has_a_price(tmp_path: Path) -> None:
    policy = PolicyFile(tmp_path / "policy.toml")()
    assert policy == Policy()
    assert not policy.prices.set


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("budgets = 3", "begin each line with"),
        ("[[budgets]]\ncategory = 'x'", r"budgets\[0\]: month is missing"),
        ("[[budgets]]\nmonth = 50", r"budgets\[0\]: month: '50' is not an amount"),
        ("[[budgets]]\nmonth = '-1.00 EUR'", "less than nothing"),
        ("[[budgets]]\nmonth = '1.00 EUR'\nlimit = 3", "no setting 'limit'"),
        ("[[budgets]]\nmonth = '1.00 EUR'\ncategory = 'Big Ads'", "cannot be a category"),
        ("[[budgets]]\nmonth = '1.00 EUR'\nautomatic_up_to = '1.00 USD'", "use one"),
        (
            "[[budgets]]\nmonth = '1.00 EUR'\n[[budgets]]\nmonth = '2.00 EUR'",
            r"budgets\[1\]: there is a line",
        ),
        ("[prices]\nkwh = '0.25'", "no currency"),
        ("[prices]\nkwh = '0.25 EUR'\ncurrency = 'USD'", "EUR and USD"),
        ("[prices]\nkwh = 'cheap'", "prices.kwh: 'cheap' is not a price"),
        ("[prices]\ncurrency = 'EUR'\nwats = 3", "no setting 'wats'"),
        ("[prices]\ncurrency = 'EUR'\n[prices.tokens.m]\ninput = 3", "prices.tokens.m.input"),
        ("[prices", "not TOML"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=told) as refused:
        PolicyFile(path)()
    assert str(path) in str(refused.value)


def test_energy_is_seconds_times_watts_times_price() -> None:
    prices = read_prices({"kwh": "0.25 EUR", "watts": 300, "watts_of": {"garage": 450}}, "here")
    # 300 W for an hour are 0.3 kWh: 7.5 cents.
    assert prices.energy_micros("any", 3600) == 75_000
    assert prices.energy_micros("garage", 1800) == 56_250
    assert prices.energy_micros("any", -5) == 0


def test_tokens_of_several_models_cost_as_the_dearest() -> None:
    prices = Prices(
        currency="EUR",
        tokens={
            "cheap": TokenPrice(prompt=Decimal("0.15"), generated=Decimal("0.6")),
            "dear": TokenPrice(prompt=Decimal(3), generated=Decimal(15)),
        },
    )
    assert prices.token_micros(["cheap"], 1000, 100) == 210
    assert prices.token_micros(["cheap", "dear", "own"], 1000, 100) == 4500
    assert prices.token_micros(["own"], 1000, 100) == 0


HOSTING = BudgetLine(category="hosting", currency="EUR", month_minor=5000)
OVERALL = BudgetLine(category="", currency="EUR", month_minor=20000)


@pytest.mark.parametrize(
    ("lines", "category", "limits"),
    [
        ((HOSTING, OVERALL), "hosting", {"hosting": 5000, "": 20000}),
        ((HOSTING, OVERALL), "ads", {"": 20000}),
        ((HOSTING,), "ads", {}),
        ((), "ads", {}),
    ],
)
def test_category_and_overall_lines_apply(
    lines: tuple[BudgetLine, ...], category: str, limits: dict[str, int]
) -> None:
    assert limits_for(lines, category, Money(minor=1, currency="EUR")) == limits


@pytest.mark.parametrize(
    "lines", [(HOSTING,), (OVERALL,), (HOSTING, OVERALL.model_copy(update={"currency": "USD"}))]
)
def test_no_line_is_escaped_by_changing_the_currency(lines: tuple[BudgetLine, ...]) -> None:
    with pytest.raises(Refused, match="is in EUR"):
        limits_for(lines, "hosting", Money(minor=1, currency="USD"))
