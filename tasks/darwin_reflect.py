"""``darwin.reflect``: a capable model is shown what a prompt got wrong and writes a new instruction.

What it is asked and what its answer is worth is decided on the master (``master.darwin.reflection``).
"""

from __future__ import annotations

from pydantic import Field

from tasks.record import Record
from tasks.spec import TaskSpec


class Request(Record):
    system: str = Field(min_length=1, max_length=4000)
    user: str = Field(min_length=1, max_length=60_000)
    #: Reference of the capable model. Always named: the workers' default is a small one.
    model: str = Field(min_length=1, max_length=300)
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    temperature: float = Field(default=0.8, ge=0, le=2)
    max_new_tokens: int = Field(default=1200, ge=16, le=8192)


class Result(Record):
    text: str = Field(max_length=100_000)
    prompt_tokens: int = Field(ge=0)
    generated_tokens: int = Field(ge=0)
    seconds: float = Field(ge=0)
    #: What an endpoint charged, in millionths of its currency's unit.
    cost_micros: int = Field(default=0, ge=0)
    model: str
    model_sha256: str


TASK = TaskSpec(name="darwin.reflect", request=Request, result=Result, lanes=("gpu", "cpu"), deadline_s=600)
