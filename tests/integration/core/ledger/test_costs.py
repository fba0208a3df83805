"""What steps cost reaches the ledger once, whatever is killed or repeated."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, update

from master.dispatch.claims import record_report
from master.duties import Duties
from master.flows.runs import cancel_run, retry_run
from master.ledger import post_costs, verify_ledger
from master.ledger.costs import project_of
from master.ledger.prices import Prices, read_prices
from master.ledger.report import balance, list_entries, month_report
from master.ledger.tables import ledger_run_costs
from master.store.tables import runs
from tasks.protocol import Failure, Report
from tests.integration.core.conftest import Bench, result_of

#: An hour of a step is 0.3 kWh and costs 7.5 cents.
PRICES = read_prices(
    {"kwh": "0.25 EUR", "watts": 300, "tokens": {"m": {"prompt": 1, "generated": 10}}}, "here"
)
USAGE = {
    "prompt_tokens": 100_000,
    "generated_tokens": 10_000,
    "seconds": 2.5,
    "models": [{"model": "m", "sha256": "", "dtype": "", "device": ""}],
}


def work(bench: Bench, run_id: str, seconds: float, usage: dict[str, Any] | None = None) -> None:
    """One step of the run, claimed, worked on for so long, reported."""
    posting = next(p for p in bench.publish() if p.ticket)
    grant = bench.granted(posting.ticket)
    bench.pass_by(seconds)
    bench.write(record_report, result_of(grant).model_copy(update={"usage": usage or {}}))
    bench.engine.advance(run_id)


def post(bench: Bench, prices: Prices = PRICES) -> int:
    with bench.database.write() as connection:
        return post_costs(connection, prices, bench.now)


def sums(bench: Bench) -> dict[str, int]:
    return {each.account: each.minor for each in bench.read(balance) if each.minor}


def costs(bench: Bench) -> Any:
    return bench.read(lambda c: c.execute(select(ledger_run_costs)).one())


def test_ended_run_is_costed_by_time_watts_and_tokens(bench: Bench) -> None:
    run_id = bench.start(steps=1)
    work(bench, run_id, 3600, USAGE)
    assert post(bench) == 1
    # 7.5 cents of energy, rounded half up; 100,000 and 10,000 tokens at 1 and 10 a million.
    assert sums(bench) == {"expenses:energy": 8, "expenses:tokens": 20, "liabilities:usage": -28}
    row = costs(bench)
    assert (row.micros, row.api_micros, row.posted_minor) == (275_000, 200_000, 28)
    assert (row.gpu_s, row.prompt_tokens, row.generated_tokens) == (2.5, 100_000, 10_000)
    report = bench.read(lambda c: month_report(c, (), "2026-11"))
    assert [(p.project, p.usage_minor, p.margin_minor) for p in report.projects] == [("noop", 28, -28)]
    assert report.quantities[0].micros == 275_000


def test_what_an_endpoint_charged_counts_instead_of_a_price(bench: Bench) -> None:
    run_id = bench.start(steps=1)
    work(bench, run_id, 0, {**USAGE, "cost_micros": 123_456})
    post(bench)
    assert costs(bench).api_micros == 123_456
    assert sums(bench)["expenses:tokens"] == 12


def test_posting_again_posts_nothing(bench: Bench) -> None:
    run_id = bench.start(steps=1)
    work(bench, run_id, 3600)
    assert [post(bench) for _ in range(3)] == [1, 0, 0]
    assert len(bench.read(list_entries)) == 1


def test_being_killed_in_the_middle_leaves_everything_to_be_posted(bench: Bench) -> None:
    run_id = bench.start(steps=1)
    work(bench, run_id, 3600)

    with bench.database.write() as connection:
        assert post_costs(connection, PRICES, bench.now) == 1
        connection.get_transaction().rollback()
    assert sums(bench) == {}
    assert post(bench) == 1
    assert sums(bench)["expenses:energy"] == 8


def test_run_that_is_marked_again_is_not_paid_for_twice(bench: Bench) -> None:
    """As after a retry that added nothing, or a restored backup."""
    run_id = bench.start(steps=1)
    work(bench, run_id, 3600)
    post(bench)
    with bench.database.write() as connection:
        connection.execute(update(runs).values(costed=False))
    assert post(bench) == 1
    assert len(bench.read(list_entries)) == 1


def test_retried_run_is_counted_again_and_only_the_difference_is_posted(bench: Bench) -> None:
    run_id = bench.start(steps=1)
    (posting,) = bench.publish()
    grant = bench.granted(posting.ticket)
    bench.pass_by(3600)
    failed = Report(
        step=grant.step, attempt=grant.attempt, token=grant.token, worker="one",
        failure=Failure.PERMANENT, error="broken",
    )  # fmt: skip
    bench.write(record_report, failed)
    bench.engine.advance(run_id)
    assert post(bench) == 1
    assert sums(bench)["expenses:energy"] == 8
    bench.write(retry_run, run_id, by="ana")
    assert post(bench) == 0, "it runs"
    bench.engine.advance(run_id)
    (posting,) = bench.publish()
    grant = bench.granted(posting.ticket, claim="claim-02")
    bench.pass_by(3600)
    bench.write(record_report, result_of(grant))
    bench.engine.advance(run_id)
    assert post(bench) == 1
    # Two hours are 15 cents: 8 were posted for the first, 7 are for the second.
    assert sums(bench) == {"expenses:energy": 15, "liabilities:usage": -15}
    assert [entry.postings[0].minor for entry in bench.read(list_entries)] == [8, 7]


def test_prices_in_another_currency_replace_what_was_posted(bench: Bench) -> None:
    run_id = bench.start(steps=1)
    work(bench, run_id, 3600)
    post(bench)
    with bench.database.write() as connection:
        connection.execute(update(runs).values(costed=False))
    post(bench, read_prices({"kwh": "250 CLP", "watts": 300}, "here"))
    found = {(e.account, e.currency): e.minor for e in bench.read(balance) if e.minor}
    assert found == {("expenses:energy", "CLP"): 75, ("liabilities:usage", "CLP"): -75}


def test_cancelled_run_is_costed_up_to_its_end(bench: Bench) -> None:
    run_id = bench.start(steps=1)
    bench.granted(bench.publish()[0].ticket)
    bench.pass_by(3600)
    bench.write(cancel_run, run_id, by="ana")
    bench.pass_by(7200)
    post(bench)
    assert sums(bench)["expenses:energy"] == 8


def test_without_prices_or_costs_nothing_is_written(bench: Bench) -> None:
    run_id = bench.start(steps=1)
    work(bench, run_id, 0)
    assert post(bench, Prices()) == 0
    assert post(bench) == 1
    assert bench.read(list_entries) == []


def test_too_little_to_post_is_counted_and_verified(bench: Bench) -> None:
    run_id = bench.start(steps=1)
    work(bench, run_id, 10)
    post(bench)
    assert sums(bench) == {}
    assert costs(bench).micros == 208
    with bench.database.write() as connection:
        connection.execute(update(ledger_run_costs).values(gpu_s=9.0))
    found = bench.read(verify_ledger)
    assert (found.sound, found.first_wrong_seq) == (False, 1)
    assert run_id in found.problem


def test_duty_posts_what_the_owners_prices_say_and_does_nothing_without(bench: Bench) -> None:
    run_id = bench.start(steps=1)
    work(bench, run_id, 3600)
    parts: Any = (bench.database, bench.engine, None, None, bench.settings, bench.clock)
    duties = Duties(*parts)
    duties.post_costs()
    assert sums(bench) == {}
    (bench.settings.home / "policy.toml").write_text('[prices]\nkwh = "0.25 EUR"\nwatts = 300\n')
    duties.post_costs()
    duties.post_costs()
    assert sums(bench) == {"expenses:energy": 8, "liabilities:usage": -8}


@pytest.mark.parametrize(
    ("params", "project"),
    [({"client_id": "alba"}, "client:alba"), ({"project": "niche:trail"}, "niche:trail"), ({}, "some.flow")],
)
def test_costs_go_to_the_client_the_project_or_the_flow(params: dict[str, str], project: str) -> None:
    assert project_of("some.flow", params) == project
