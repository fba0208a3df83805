"""A question of a flow: answered once, with a reason, or by silence."""

from __future__ import annotations

import threading

import pytest

from master.approvals import Policy, decide, expire_approvals, list_approvals
from tasks.errors import InvalidInput, Refused
from tests.integration.core.conftest import Bench
from tests.integration.core.flows.stage import ME, row_of, voter, whole_flow, work


def test_a_question_is_decided_once_of_many_at_the_same_time(bench: Bench) -> None:
    whole_flow(bench)
    run_id = bench.start("whole")
    work(bench, run_id)
    (asked,) = bench.read(list_approvals)
    decided, refused = [], []

    def answer(number: int) -> None:
        try:
            decided.append(
                bench.write(
                    decide,
                    asked.id,
                    approve=number % 2 == 0,
                    voter=voter(f"p{number}"),
                    policy=Policy(),
                    note="because",
                )
            )
        except Refused as error:
            refused.append(str(error))

    threads = [threading.Thread(target=answer, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(decided) == 1
    assert len(refused) == 7
    assert all("already" in text for text in refused)


def test_rejection_needs_a_reason_and_silence_denies(bench: Bench) -> None:
    whole_flow(bench)
    run_id = bench.start("whole")
    work(bench, run_id)
    (asked,) = bench.read(list_approvals)
    with pytest.raises(InvalidInput, match="reason"):
        bench.write(decide, asked.id, approve=False, voter=ME, policy=Policy(), note=" ")
    with pytest.raises(Refused, match="superseded"):
        bench.write(decide, asked.id, approve=True, voter=ME, policy=Policy(), note="", digest="0" * 64)
    bench.pass_by(8 * 86400)
    with pytest.raises(Refused, match="expired"):
        bench.write(decide, asked.id, approve=True, voter=ME, policy=Policy(), note="")
    assert bench.write(expire_approvals, policy=Policy()) == 1
    work(bench, run_id)
    assert row_of(bench, run_id).result["approved"] is False
