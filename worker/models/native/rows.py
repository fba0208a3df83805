"""One request for text while its tokens are being drawn."""

from __future__ import annotations

import dataclasses

from worker.models.jobs import Unit
from worker.models.native.causal import CausalModel
from worker.models.native.grammar import Matcher
from worker.models.native.plan import Tokens
from worker.models.native.sampling import Draw
from worker.models.protocol import Generated, GenerateItem

#: Decodes to what a character that is not whole yet looks like.
_UNFINISHED = "\N{REPLACEMENT CHARACTER}"


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
        self._model = model
        self._longest_stop = max((len(stop.encode()) for stop in task.item.stop), default=0)
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
        if token in self._model.ends and not self._item.ignore_end:
            return self._result("stop")
        self.tokens.append(token)
        if self._longest_stop and self._stopped():
            return self._result("stop")
        if self.matcher is not None and self.matcher.take(token):
            return self._result("stop")
        if len(self.tokens) >= self.limit:
            return self._result("length")
        if self.unit.streams:
            self.unit.tell(self._sure())
        return None

    def _stopped(self) -> bool:
        # A token may end inside a stop string or a character, never span less than nothing: so many
        # last tokens surely hold any stop string that this token completed.
        recent = self._model.text.decode(self.tokens[-(self._longest_stop + 8) :])
        return any(stop in recent for stop in self._item.stop if stop)

    def _sure(self) -> str:
        """The text so far without an end that may still change: half a character, the beginning of a stop."""
        text = self._model.text.decode(self.tokens).rstrip(_UNFINISHED)
        held = 0
        for stop in self._item.stop:
            begun = (size for size in range(min(len(stop), len(text)), 0, -1) if text.endswith(stop[:size]))
            held = max(held, next(begun, 0))
        return text[: len(text) - held]

    def _result(self, finish: str) -> Generated:
        text = self._model.text.decode(self.tokens)
        cuts = [text.index(stop) for stop in self._item.stop if stop and stop in text]
        if cuts:
            text, finish = text[: min(cuts)], "stop"
        if self.unit.streams:
            self.unit.tell(text)
        return Generated(text=text, tokens=len(self.tokens), finish=finish)
