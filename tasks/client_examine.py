"""``client.examine``: the analyst reads the brief: its facts, its gaps, its contradictions."""

from __future__ import annotations

from tasks.client_brief import Brief
from tasks.record import Record
from tasks.spec import TaskSpec


class Request(Record):
    brief: Brief


class FactSheet(Record):
    """What may be stated on the site. Anything else is an invention."""

    numbers: tuple[str, ...]
    emails: tuple[str, ...]
    phones: tuple[str, ...]
    #: As they are shown to a visitor.
    prices: tuple[str, ...]


class Remark(Record):
    """Something the client should know about their brief."""

    #: Where in the brief: "contact.phone".
    key: str
    text: str


class Result(Record):
    facts: FactSheet
    #: Missing from the brief, with what the site loses.
    gaps: tuple[Remark, ...]
    #: Two places of the brief that do not agree.
    conflicts: tuple[Remark, ...]


TASK = TaskSpec(name="client.examine", request=Request, result=Result, deadline_s=60)
