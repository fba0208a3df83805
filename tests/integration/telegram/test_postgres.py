"""The same door on PostgreSQL."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from master.approvals import ApprovalState, ApprovalType, Policy
from master.approvals.policy import Rule
from master.capabilities import load_capabilities
from master.store import Database
from master.store.artifacts import ArtifactFolder
from master.store.migrate import migrate
from master.store.tables import outcomes
from master.telegram.refusals import Reason
from tests.integration.bot_api import BotApi
from tests.integration.telegram.stage import ANA, APPROVE, BEA, STRANGER, TOKEN, Stage, greet, settle
from tests.servers import Postgres

pytestmark = [pytest.mark.anyio, pytest.mark.services]


@pytest.fixture
def on_postgres(tmp_path: Path, d8_home: Path) -> Iterator[Stage]:
    load_capabilities()
    folder = tmp_path / "postgres"
    folder.mkdir()
    server = Postgres(folder)
    database = Database(server.create_database(f"t{secrets.token_hex(8)}"))
    try:
        migrate(database)
        with BotApi(TOKEN) as api:
            yield Stage(database, api, ArtifactFolder(d8_home / "artifacts"))
    finally:
        database.close()
        server.stop()


async def test_two_yeses_a_refusal_and_a_done_are_recorded_and_shown(on_postgres: Stage) -> None:
    stage = on_postgres
    stage.users = frozenset({ANA, BEA})
    stage.policy = Policy(rules={ApprovalType.PAYMENT: Rule(quorum=2)})
    async with stage.door() as door:
        await greet(stage, door, ANA, BEA)
        approval, low = stage.ask(until="executed"), stage.ask(urgency="low")
        await settle(door)
        cards = {user: stage.api.shown(user)[-1] for user in (ANA, BEA)}
        button = stage.api.buttons(ANA, cards[ANA])[APPROVE]
        stage.api.tap(STRANGER, button, cards[ANA])
        stage.api.tap(ANA, button[:-1] + "!", cards[ANA])
        for user in (ANA, BEA):
            stage.api.tap_button(user, cards[user], APPROVE)
        stage.api.write(ANA, f"/hecho {approval.id} 99")
        await settle(door)
        assert stage.look(approval.id).state is ApprovalState.APPROVED
        stage.api.write(ANA, f"/hecho {approval.id} 11,99 F1")
        stage.api.write(ANA, f"/rechazar {low.id} no")
        await settle(door)
    assert stage.look(approval.id).state is ApprovalState.EXECUTED
    assert stage.look(low.id).state is ApprovalState.REJECTED
    assert stage.count_rows(outcomes) == 2
    assert stage.refusals(ANA) == {Reason.FORGED: 1, Reason.REFUSED: 1}
    assert stage.refusals(STRANGER) == {Reason.STRANGER: 1}
    for user in (ANA, BEA):
        assert "por 11.99 EUR" in stage.api.text(user, cards[user])
        assert stage.api.buttons(user, cards[user]) == {}
