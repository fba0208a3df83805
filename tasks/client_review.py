"""``client.review``: the reviewer checks the built site against the brief. It can fail."""

from __future__ import annotations

import enum

from tasks.client_brief import Brief
from tasks.record import Record
from tasks.spec import TaskSpec


class CheckName(enum.StrEnum):
    WELL_FORMED = "html.well_formed"
    ONE_H1 = "html.one_h1"
    UNIQUE_IDS = "html.unique_ids"
    INTERNAL_LINKS = "links.internal"
    NO_EXTERNAL = "links.no_external_resources"
    TITLES = "meta.titles"
    DESCRIPTIONS = "meta.descriptions"
    POLICY = "security.content_policy"
    LANGUAGE = "accessibility.language"
    LANDMARKS = "accessibility.landmarks"
    ALTERNATIVES = "accessibility.text_alternatives"
    CONTRAST = "accessibility.contrast"
    WEIGHT = "weight.pages"
    NUMBERS = "facts.numbers"
    CONTACTS = "facts.contacts"
    NAMES = "facts.names"
    SUPERLATIVES = "facts.superlatives"
    SERVICES = "content.services"
    PLACEHOLDERS = "content.no_placeholders"


class Request(Record):
    brief: Brief
    site_sha256: str


class Check(Record):
    name: CheckName
    passed: bool
    #: What was found: the figures when it passed, the faults with their pages when it did not.
    detail: str


class Result(Record):
    checks: tuple[Check, ...]

    @property
    def failed(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if not check.passed)


TASK = TaskSpec(name="client.review", request=Request, result=Result, deadline_s=120)
