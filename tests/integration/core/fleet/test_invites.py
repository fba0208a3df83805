"""Who may join: invites, names, and machines that were removed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from master.fleet.invites import create_invite, redeem_invite
from master.fleet.roster import list_workers, remove_worker
from master.fleet.workers import miss_workers
from master.store.tables import tokens
from master.tokens import find_principal
from tasks.errors import NotFound, Refused
from tasks.protocol import Grant, Redeem
from tests.integration.core.conftest import Bench
from tests.integration.core.fleet.stage import beat, claim, join, standing


def test_invite_is_good_for_one_machine_and_gives_it_a_token_of_its_own(bench: Bench) -> None:
    code, _ = bench.write(create_invite, "garage", by="owner", lasts=timedelta(hours=1))
    token = bench.write(redeem_invite, Redeem(invite=code, worker="garage"))
    principal = bench.read(lambda c: find_principal(c, token, now=bench.now))
    assert principal is not None
    assert (principal.scope, principal.worker) == ("worker", "garage")
    assert token not in str(bench.read(lambda c: c.execute(select(tokens)).all())), "only its digest is kept"
    with pytest.raises(Refused, match="was used"):
        bench.write(redeem_invite, Redeem(invite=code, worker="garage"))


def test_invite_expires(bench: Bench) -> None:
    code, _ = bench.write(create_invite, "", by="owner", lasts=timedelta(hours=1))
    bench.pass_by(3601)
    with pytest.raises(Refused, match="expired"):
        bench.write(redeem_invite, Redeem(invite=code, worker="garage"))


def test_invite_is_no_way_to_take_the_name_of_a_worker_that_works(bench: Bench) -> None:
    code, _ = bench.write(create_invite, "", by="owner", lasts=timedelta(hours=1))
    with pytest.raises(Refused, match="already"):
        bench.write(redeem_invite, Redeem(invite=code, worker="one"))


def test_invite_for_one_name_does_not_serve_another(bench: Bench) -> None:
    code, _ = bench.write(create_invite, "garage", by="owner", lasts=timedelta(hours=1))
    with pytest.raises(Refused, match="'garage'"):
        bench.write(redeem_invite, Redeem(invite=code, worker="attic"))


def test_removed_worker_loses_its_token_and_its_steps_and_is_not_heard(bench: Bench) -> None:
    code, _ = bench.write(create_invite, "garage", by="owner", lasts=timedelta(hours=1))
    token = bench.write(redeem_invite, Redeem(invite=code, worker="garage"))
    bench.write(remove_worker, "one", by="owner")
    join(bench, "garage")
    bench.start(steps=1)
    (posting,) = bench.publish()
    granted = claim(bench, posting, "garage")
    assert isinstance(granted, Grant)
    bench.write(remove_worker, "garage", by="owner")
    assert bench.read(lambda c: find_principal(c, token, now=bench.now)) is None
    assert bench.step(granted.step).state == "ready"
    assert "garage" not in [worker["name"] for worker in bench.read(list_workers)]
    with pytest.raises(Refused, match="removed"):
        beat(bench, "garage")


def test_invited_machine_that_was_never_started_is_not_missed(bench: Bench) -> None:
    code, _ = bench.write(create_invite, "garage", by="owner", lasts=timedelta(hours=1))
    bench.write(redeem_invite, Redeem(invite=code, worker="garage"))
    bench.pass_by(3600)
    bench.write(miss_workers, heartbeat_s=30)
    assert standing(bench, "garage")["state"] == "joining"


def test_unknown_worker_has_to_join(bench: Bench) -> None:
    with pytest.raises(NotFound):
        beat(bench, "nobody")
