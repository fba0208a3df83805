"""What a handler can ask of a model: score choices, generate text, embed texts.

Every message is JSON on the wire between a handler (in a Celery child) and the model server.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

from pydantic import Field

from tasks.record import Record
from worker.models.outcomes import Failed


class Usage(Record):
    """What requests cost. Summed into the step's record."""

    prompt_tokens: int = 0
    generated_tokens: int = 0
    #: Seconds that a model computed for them: their shares of the batches they were in.
    seconds: float = 0.0
    #: Answers that had been kept from an equal request, and cost nothing.
    kept: int = 0
    #: What an endpoint charges for them, in millionths of its currency's unit.
    cost_micros: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            generated_tokens=self.generated_tokens + other.generated_tokens,
            seconds=self.seconds + other.seconds,
            kept=self.kept + other.kept,
            cost_micros=self.cost_micros + other.cost_micros,
        )


class Asked(Record):
    """What every request may say beside its question."""

    #: Of what waits, the highest goes first; within a priority, the oldest.
    priority: int = Field(default=0, ge=-100, le=100)
    #: Seconds from its arrival after which nobody wants the answer; 0: no limit.
    deadline_s: float = Field(default=0.0, ge=0, le=7 * 24 * 3600)
    #: Compute it even where the answer to an equal request is kept: for estimates of noise.
    fresh: bool = False


class ScoreItem(Asked):
    """Choices to be weighed as continuations of one prompt."""

    #: The text before the choice. Items that start alike share computed prefixes.
    prompt: str = Field(max_length=200_000)
    #: At least two continuations, weighed by likelihood.
    choices: tuple[str, ...] = Field(min_length=2, max_length=256)


class Scored(Record):
    #: Sum of log-probabilities of each choice's tokens given the prompt (nats), in the choices' order.
    #: An endpoint that tells no likelihoods gives only a preference; see ``remote.backend``.
    logprobs: tuple[float, ...]
    #: Tokens in each choice, for length normalization.
    tokens: tuple[int, ...]


class Grammar(Record):
    """What a generated text must be. Valid is not yet right: a model can fill a schema with nonsense."""

    kind: Literal["none", "json_schema", "regex", "choice"] = "none"
    #: The JSON schema, the regular expression, or the choices as a JSON list of strings.
    text: str = Field(default="", max_length=100_000)


class GenerateItem(Asked):
    #: Prompts that begin alike share what is computed for their beginnings.
    prompt: str = Field(max_length=200_000)
    max_new_tokens: int = Field(default=64, ge=1, le=32_768)
    #: 0 means greedy.
    temperature: float = Field(default=0.0, ge=0, le=5)
    top_p: float = Field(default=1.0, gt=0, le=1)
    #: 0 means no limit.
    top_k: int = Field(default=0, ge=0)
    #: The request's own seed: the same request with the same seed gives the same text, whatever
    #: else runs beside it.
    seed: int = Field(default=0, ge=0, le=2**63 - 1)
    #: Generation ends before the first of these.
    stop: tuple[str, ...] = Field(default=(), max_length=16)
    grammar: Grammar = Grammar()
    #: Go on to ``max_new_tokens`` though the model would end: for measurements.
    ignore_end: bool = False


class Generated(Record):
    text: str
    tokens: int
    #: "stop" (end of text, of the grammar, or a stop string) or "length".
    finish: str


class Models(Protocol):
    """Port through which handlers reach models. ``model`` is a model reference:

    ``embedded:smollm2`` and ``embedded:minilm`` (shipped as packages), ``/path/to/folder``,
    ``/path/to/file.gguf``, a Hugging Face name, ``openai:<base-url>#<model>``, or
    ``transformers:<any of the local ones>`` (transformers' own continuous batching). "" means this
    worker's default: for embed its sentence model, for all else its text model.

    Raises ``tasks.errors.PermanentFailure`` (unknown model, bad request) or
    ``tasks.errors.TransientFailure`` (server away, out of memory), where any item of a list failed.
    """

    def score(self, model: str, items: Sequence[ScoreItem]) -> list[Scored]: ...

    def generate(self, model: str, items: Sequence[GenerateItem]) -> list[Generated]: ...

    def generate_each(self, model: str, items: Sequence[GenerateItem]) -> list[Generated | Failed]:
        """As ``generate``, where an item that fails costs the others nothing."""
        ...

    def stream(self, model: str, item: GenerateItem) -> Iterator[str | Generated]:
        """Parts of the text as they come, and the whole at last. Closing the iterator gives it up."""
        ...

    def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        """Unit-length vectors, one per text."""
        ...

    def chat_prompt(self, model: str, messages: Sequence[tuple[str, str]]) -> str:
        """The model's own chat template over (role, text) pairs, ready for the assistant's turn."""
        ...

    def describe(self, model: str) -> dict[str, str]:
        """``{"model", "sha256", "dtype", "device"}`` of what answers, for the step's record."""
        ...

    @property
    def usage(self) -> Usage:
        """Summed over all calls made through this object."""
        ...
