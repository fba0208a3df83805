"""The flow that asks, registered for each of these tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from master.capabilities import load_capabilities
from master.flows import ApprovalType, FlowContext, Question, flow
from master.flows.registry import _FLOWS
from tests.integration.core.approvals.stage import ASKED, Asks


@pytest.fixture(autouse=True)
def _asking_flow() -> Iterator[None]:
    load_capabilities()
    before = dict(_FLOWS)
    ASKED.clear()

    @flow("asks", params=Asks)
    def asks(ctx: FlowContext, params: Asks) -> dict[str, Any]:
        given = {
            "type": ApprovalType.PAYMENT,
            "title": f"Buy {params.name}?",
            "reason": "Because.",
            "cost_minor": 1250,
            "category": "domains",
            "until": params.until,
            "need": params.need,
            **ASKED.get(params.name, {}),
        }
        decision = ctx.ask("ask", Question.model_validate(given))
        return decision.model_dump(mode="json")

    yield
    _FLOWS.clear()
    _FLOWS.update(before)
