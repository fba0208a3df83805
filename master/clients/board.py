"""Where a project stands on its way, from its state and its steps. Pure."""

from __future__ import annotations

import enum
from collections.abc import Sequence

from master.clients.states import ClientState


class Stage(enum.StrEnum):
    """The columns of the board, in the order in which a project passes them."""

    BRIEF = "brief"
    DISCOVERY = "discovery"
    STRATEGY = "strategy"
    DESIGN = "design"
    BUILD = "build"
    QUALITY = "quality"
    #: A draft waits for the owner.
    DECISION = "decision"
    DELIVERED = "delivered"
    FAILED = "failed"


#: The phases of the flow: the first word of its steps' keys.
PHASES = (Stage.DISCOVERY, Stage.STRATEGY, Stage.DESIGN, Stage.BUILD, Stage.QUALITY)
_ORDER = {phase.value: at for at, phase in enumerate(PHASES)}


def stage_of(state: ClientState, keys: Sequence[tuple[str, bool]], *, waits: bool) -> Stage:
    """``keys``: its steps in the order in which they were asked for, each with whether it is open.

    While several phases are at work it is in the earliest of them: what the others wait for.
    """
    if state is ClientState.PENDING:
        return Stage.BRIEF
    if state is ClientState.COMPLETED:
        return Stage.DELIVERED
    if state is ClientState.FAILED:
        return Stage.FAILED
    if waits:
        return Stage.DECISION
    phases = [(phase, is_open) for key, is_open in keys if (phase := key.partition(":")[0]) in _ORDER]
    still_open = [phase for phase, is_open in phases if is_open]
    if still_open:
        return Stage(min(still_open, key=_ORDER.__getitem__))
    return Stage(phases[-1][0]) if phases else Stage.DISCOVERY
