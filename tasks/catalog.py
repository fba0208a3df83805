"""Every task that this build knows. A new task is its contract, its handler, and one line here."""

from __future__ import annotations

from typing import Any

from tasks import (
    client_build,
    client_choose,
    client_draw,
    client_examine,
    client_review,
    client_write,
    darwin_environment,
    darwin_evaluate,
    darwin_index,
    darwin_propose,
    darwin_reflect,
    darwin_rehearse,
    fleet_canary,
    fleet_drill,
    fleet_noop,
    niche_analyse,
    niche_group,
    python_execute,
    text_embed,
)
from tasks.spec import TaskSpec

TASKS: tuple[TaskSpec[Any, Any], ...] = (
    client_build.TASK,
    client_choose.TASK,
    client_draw.TASK,
    client_examine.TASK,
    client_review.TASK,
    client_write.TASK,
    darwin_environment.TASK,
    darwin_evaluate.TASK,
    darwin_index.TASK,
    darwin_propose.TASK,
    darwin_reflect.TASK,
    darwin_rehearse.TASK,
    fleet_canary.TASK,
    fleet_drill.TASK,
    fleet_noop.TASK,
    niche_analyse.TASK,
    niche_group.TASK,
    python_execute.TASK,
    text_embed.TASK,
)
