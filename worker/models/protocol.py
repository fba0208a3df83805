"""What a handler can ask of a model: score choices, generate text, embed texts.

Every message is JSON on the wire between a handler (in a Celery child) and the model server.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pydantic import Field

from tasks.record import Record


class Usage(Record):
    """What a request cost. Summed into the step's record."""

    prompt_tokens: int = 0
    generated_tokens: int = 0
    seconds: float = 0.0


class ScoreItem(Record):
    """Choices to be weighed as continuations of one prompt."""

    #: The text before the choice. Items that start alike share computed prefixes.
    prompt: str = Field(max_length=200_000)
    #: At least two continuations, weighed by likelihood.
    choices: tuple[str, ...] = Field(min_length=2, max_length=256)


class Scored(Record):
    #: Sum of log-probabilities of each choice's tokens given the prompt (nats), in the choices' order.
    #: An endpoint that tells no likelihoods gives only a preference; see ``openai_backend``.
    logprobs: tuple[float, ...]
    #: Tokens in each choice, for length normalization.
    tokens: tuple[int, ...]


class GenerateItem(Record):
    prompt: str = Field(max_length=200_000)
    max_new_tokens: int = Field(default=64, ge=1, le=4096)
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


class Generated(Record):
    text: str
    tokens: int
    #: "stop" (end of text or a stop string) or "length".
    finish: str


class Models(Protocol):
    """Port through which handlers reach models. ``model`` is a model reference:

    ``embedded:smollm2`` and ``embedded:minilm`` (shipped as packages), ``/path/to/folder``, a
    Hugging Face name, or ``openai:<base-url>#<model>``. "" means this worker's default: for embed
    its sentence model, for all else its text model.

    Raises ``tasks.errors.PermanentFailure`` (unknown model, bad request) or
    ``tasks.errors.TransientFailure`` (server away, out of memory).
    """

    def score(self, model: str, items: Sequence[ScoreItem]) -> list[Scored]: ...

    def generate(self, model: str, items: Sequence[GenerateItem]) -> list[Generated]: ...

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
