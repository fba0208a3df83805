"""One request for text while its tokens are being drawn."""

from __future__ import annotations

import dataclasses
import random

from worker.models.causal import CausalModel
from worker.models.jobs import Unit
from worker.models.plan import Tokens
from worker.models.protocol import Generated, GenerateItem
from worker.models.sampling import Draw


@dataclasses.dataclass(frozen=True)
class GenerateTask:
    prompt: Tokens
    item: GenerateItem


class Row:
    """Its tokens so far, its own random numbers, and when it ends."""

    def __init__(self, unit: Unit[GenerateTask, Generated], model: CausalModel) -> None:
        task = unit.task
        self.unit = unit
        self.prompt = task.prompt
        self.limit = min(task.item.max_new_tokens, model.text.context_tokens - len(task.prompt))
        self.tokens: list[int] = []
        self._item = task.item
        self._model = model
        self._random = random.Random(task.item.seed)

    @property
    def held_tokens(self) -> int:
        return len(self.prompt) + self.limit

    def draw(self) -> Draw:
        item = self._item
        uniform = self._random.random() if item.temperature > 0 else 0.0
        return Draw(item.temperature, item.top_p, item.top_k, uniform)

    def take(self, token: int) -> Generated | None:
        """Add a token; the result once this was the last."""
        if token in self._model.ends:
            return self._result("stop")
        self.tokens.append(token)
        if self._item.stop and self._stopped():
            return self._result("stop")
        return self._result("length") if len(self.tokens) >= self.limit else None

    def _stopped(self) -> bool:
        # A token may end inside a stop string or a character, never span less than nothing: so many
        # last tokens surely hold any stop string that this token completed.
        longest = max(len(stop.encode()) for stop in self._item.stop)
        recent = self._model.text.decode(self.tokens[-(longest + 8) :])
        return any(stop in recent for stop in self._item.stop if stop)

    def _result(self, finish: str) -> Generated:
        text = self._model.text.decode(self.tokens)
        cuts = [text.index(stop) for stop in self._item.stop if stop and stop in text]
        return Generated(
            text=text[: min(cuts)] if cuts else text,
            tokens=len(self.tokens),
            finish="stop" if cuts else finish,
        )
