"""What the ways of answering an example have in common: the shard, the prompt's frame, an answer."""

from __future__ import annotations

import dataclasses

from tasks.darwin_evaluate import Request
from tasks.darwin_genome import Corpus, Index
from tasks.darwin_prompt import Prompt, head
from tasks.errors import PermanentFailure
from worker.models.protocol import Models

#: Prompts per call to the model server: a full batch, with a chance to stop between two.
BATCH = 32
#: Stands for the question while the chat template is laid around it.
_SLOT = "\u2982question\u2982"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shard:
    request: Request
    corpus: Corpus
    index: Index


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """As ``Outcome``, before it has a score."""

    example: int
    text: str
    confidence: float = 0.0
    loss: float = 0.0
    prompt_characters: int = 0
    generated_tokens: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Frame:
    """What stands before and after the demonstrations and the question; rendered once per shard, so
    that all of its prompts begin alike and the model server computes the beginning once."""

    before: str
    after: str

    def around(self, prompt: Prompt) -> str:
        return self.before + prompt.shared + prompt.own + self.after


def frame_of(shard: Shard, models: Models) -> Frame:
    genome = shard.request.genome
    before = head(genome, shard.corpus)
    if not genome.chat:
        return Frame(before=before, after="")
    system = before.strip()
    messages = [("system", system)] if system else []
    rendered = models.chat_prompt(shard.request.model, [*messages, ("user", _SLOT)])
    start, slot, end = rendered.partition(_SLOT)
    if not slot:
        raise PermanentFailure(
            f"the chat template of model {shard.request.model!r} drops or changes the user's message"
        )
    return Frame(before=start, after=end)
