"""One request for text while its tokens are being drawn."""

from __future__ import annotations

import dataclasses

from worker.models.draft import Draft
from worker.models.jobs import Unit
from worker.models.native.causal import CausalModel
from worker.models.native.grammar import Matcher
from worker.models.native.plan import Tokens
from worker.models.native.sampling import Draw
from worker.models.protocol import Generated, GenerateItem


@dataclasses.dataclass(frozen=True)
class GenerateTask:
    prompt: Tokens
    item: GenerateItem


class Row:
    """Its tokens so far, and when it ends."""

    def __init__(self, unit: Unit[GenerateTask, Generated], model: CausalModel) -> None:
        task = unit.task
        self.unit = unit
        self.prompt = task.prompt
        self.limit = min(task.item.max_new_tokens, model.text.context_tokens - len(task.prompt))
        self.tokens: list[int] = []
        self._item = task.item
        self._ends = frozenset[int]() if task.item.ignore_end else model.ends
        self._draft = Draft(model.text, task.item, self._ends)
        self.matcher: Matcher | None = None
        if task.item.grammar.kind != "none":
            self.matcher = model.grammars.begin(task.item.grammar)

    @property
    def held_tokens(self) -> int:
        return len(self.prompt) + self.limit

    def draw(self) -> Draw:
        item = self._item
        return Draw(item.temperature, item.top_p, item.top_k, item.seed, len(self.tokens))

    def take(self, token: int) -> Generated | None:
        """Add a token; the result once this was the last."""
        self.tokens.append(token)
        whole = self.matcher is not None and token not in self._ends and self.matcher.take(token)
        last = "stop" if whole else "length" if len(self.tokens) >= self.limit else ""
        result = self._draft.read(self.tokens, last=last)
        if self.unit.streams:
            self.unit.tell(self._draft.sure(self.tokens) if result is None else result.text)
        return result
