"""The simulator finds nothing in the code as it is, and finds what is broken on purpose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update

import master.dispatch.claims as claims
import master.dispatch.finish as finish
import master.fleet.gate as gate
import master.fleet.workers as workers_module
from master.dispatch.states import StepState
from master.store.tables import steps
from tests.simulation.lots import try_seed
from tests.simulation.play import play

SEEDS = range(1, 41)
#: A mutant must be found within so many seeds.
_PATIENCE = range(1, 200)


def test_nothing_is_broken() -> None:
    assert [seed for seed in SEEDS if try_seed(seed)] == []


def test_seed_is_the_same_twice() -> None:
    assert play(7).trace == play(7).trace


def _without(statement: Any, column: Any) -> Any:
    """The statement without its conditions on this column."""
    kept = [
        clause
        for clause in statement._where_criteria
        if column.name not in str(clause).split(" ", maxsplit=1)[0]
    ]
    assert len(kept) < len(statement._where_criteria), "there was such a condition"
    stripped = statement._clone()
    stripped._where_criteria = tuple(kept)
    return stripped


def _claim_ignores_the_attempt(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(claims, "_GRANT", _without(claims._GRANT, steps.c.attempt))
    patch.setattr(claims, "_ATTEMPT", claims._ATTEMPT.prefix_with("OR REPLACE"))


def _claim_ignores_the_state(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(claims, "_GRANT", _without(claims._GRANT, steps.c.state))
    patch.setattr(claims, "_ATTEMPT", claims._ATTEMPT.prefix_with("OR REPLACE"))


def _claim_ignores_the_worker(patch: pytest.MonkeyPatch) -> None:
    kept = tuple(clause for clause in claims._GRANT._where_criteria if "EXISTS" not in str(clause))
    stripped = claims._GRANT._clone()
    stripped._where_criteria = kept
    patch.setattr(claims, "_GRANT", stripped)


def _report_ignores_the_end(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(finish, "_FINISH", _without(finish._FINISH, steps.c.state))
    patch.setattr(finish, "_OUTCOME", finish._OUTCOME.prefix_with("OR REPLACE"))


def _new_build_forgets_what_is_queued(patch: pytest.MonkeyPatch) -> None:
    """Tickets for the old build stay valid, and nobody is left to take them."""
    real = gate.install_build

    def forgetful(connection: Any, build: str, **named: Any) -> bool:
        queued = [row.id for row in connection.execute(steps.select().where(steps.c.state == "queued"))]
        changed = real(connection, build, **named)
        connection.execute(
            update(steps)
            .where(steps.c.id.in_(queued))
            .values(state=StepState.QUEUED, attempt=steps.c.attempt - 1)
        )
        return changed

    patch.setattr("tests.simulation.world.install_build", forgetful)


def _second_session_leaves_the_firsts_claims(patch: pytest.MonkeyPatch) -> None:
    """Leases would end them in time; but an outcome of the dead session is never heard."""
    patch.setattr(workers_module, "end_worker_claims", lambda *_, **__: 0)
    patch.setattr("tests.simulation.world.reap_leases", lambda *_, **__: 0)


@pytest.mark.parametrize(
    "break_it",
    [
        _claim_ignores_the_attempt,
        _claim_ignores_the_state,
        _claim_ignores_the_worker,
        _report_ignores_the_end,
        _new_build_forgets_what_is_queued,
        _second_session_leaves_the_firsts_claims,
    ],
)
def test_what_is_broken_on_purpose_is_found(
    break_it: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    break_it(monkeypatch)
    assert any(_breaks(seed) for seed in _PATIENCE)


def _breaks(seed: int) -> bool:
    """A promise was broken, or the database's own keys were all that was left to refuse."""
    from sqlalchemy.exc import IntegrityError

    try:
        return bool(try_seed(seed))
    except IntegrityError:
        return True
