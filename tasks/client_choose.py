"""``client.choose``: an agent role decides between named options by a language model's likelihood."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tasks.record import Record
from tasks.spec import TaskSpec


class Option(Record):
    #: What the flow goes by.
    label: str = Field(min_length=1, max_length=60)
    #: What the model weighs.
    text: str = Field(min_length=1, max_length=300)


class DecisionPoint(Record):
    name: str = Field(min_length=1, max_length=60)
    #: Ends where an option's text would follow.
    question: str = Field(min_length=1, max_length=400)
    options: tuple[Option, ...] = Field(min_length=1, max_length=12)


class Request(Record):
    role: str
    #: The business in a few lines, taken from the brief.
    about: str = Field(max_length=2000)
    #: What the owner asked for when they rejected the last draft; "" at first.
    note: str = Field(default="", max_length=1000)
    decisions: tuple[DecisionPoint, ...] = Field(min_length=1, max_length=40)
    #: Model reference; "" means the worker's default.
    model: str = ""


class Choice(Record):
    name: str
    label: str
    #: "only" when there was nothing to choose from.
    by: Literal["only", "model"]
    #: One per option, in nats per token, higher is better; empty when by is "only".
    scores: tuple[float, ...]


class Result(Record):
    choices: tuple[Choice, ...]


TASK = TaskSpec(name="client.choose", request=Request, result=Result, lanes=("gpu", "cpu"), deadline_s=300)
