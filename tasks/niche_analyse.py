"""``niche.analyse``: what the people behind one group of keywords want, and how their number changes."""

from __future__ import annotations

from pydantic import Field

from tasks.record import Record
from tasks.spec import TaskSpec

#: What a search is for, in the order of every tuple of four probabilities below. The first three
#: (with transactional split from commercial) follow Broder, "A taxonomy of web search" (SIGIR Forum
#: 36(2), 2002); commercial investigation is the split that advertising tools added to it.
INTENTS = ("informational", "commercial", "transactional", "navigational")

Probabilities = tuple[float, float, float, float]


class Keyword(Record):
    text: str = Field(min_length=1, max_length=200)
    #: Searches a month; the middle of the range where only a range is known.
    volume: int = Field(ge=0)
    #: Searches in each of the request's months; () when the export does not say.
    monthly: tuple[int, ...] = Field(default=(), max_length=60)
    #: Change of the last month against the same month a year before (0.1 is +10%).
    yearly_change: float | None = None


class Request(Record):
    keywords: tuple[Keyword, ...] = Field(min_length=1, max_length=3000)
    #: The months of ``monthly`` as YYYY-MM, oldest first.
    months: tuple[str, ...] = Field(default=(), max_length=60)
    #: Model reference; "" means the worker's default.
    model: str = ""
    #: The model judges so many keywords, the most searched ones; rules judge all of them.
    judged_by_model: int = Field(default=6, ge=0, le=200)


class KeywordIntent(Record):
    text: str
    #: What D8 goes by: rules and model together.
    combined: Probabilities
    #: From the words of the keyword alone; None when no rule speaks.
    by_rule: Probabilities | None = None
    #: From the language model, calibrated; None when it was not asked.
    by_model: Probabilities | None = None


class Growth(Record):
    """Yearly change of the group's searches, as a fraction (0.1 is +10%), with its interval."""

    middle: float
    low: float
    high: float
    #: "two years" (last 12 months against the 12 before), "same month last year" (the export's own
    #: yearly change) or "slope" (a robust line through the months; seasons make it uncertain).
    basis: str


class Seasons(Record):
    #: Share of a year's searches that would have to move to make all months equal, 0..1 (Hoover).
    strength: float = Field(ge=0, le=1)
    #: Month of the year with the most searches, 1..12, and its searches relative to the mean month.
    peak_month: int = Field(ge=1, le=12)
    peak_ratio: float = Field(ge=0)


class Result(Record):
    #: One per keyword, in the request's order.
    intents: tuple[KeywordIntent, ...]
    #: Of the keywords that both judged, the share on which rules and model agree; None when none.
    agreement: float | None = None
    #: None when the export has too few months to say.
    growth: Growth | None = None
    seasons: Seasons | None = None
    #: sha256 of the model that judged; "" when it was not asked.
    model_sha256: str = ""


TASK = TaskSpec(name="niche.analyse", request=Request, result=Result, lanes=("gpu", "cpu"))
