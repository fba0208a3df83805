"""A client project while it is made: the decisions so far, and what a person is told about them."""

from __future__ import annotations

from pydantic import Field

from master.clients.rework import Area, Direction
from tasks.client_choose import Result as Choices
from tasks.client_examine import Result as Examined
from tasks.client_look import Action, Artwork, Look, Section
from tasks.client_review import Result as Review
from tasks.client_write import Result as Written
from tasks.record import Record


class Entry(Record):
    """One line of the project's log."""

    phase: str
    role: str
    text: str


class Discovery(Record):
    examined: Examined
    kit: str
    need: str


class Plan(Record):
    action: Action
    order: str
    sections: tuple[Section, ...]


class Styled(Record):
    """The designer's choices, by decision, and what they amount to."""

    labels: dict[str, str]
    look: Look
    artwork: Artwork


class Build(Record):
    site_sha256: str
    files: int
    bytes: int
    review: Review


class Draft(Record):
    """Everything made so far. A rework replaces the parts it is about and keeps the others."""

    plan: Plan
    styled: Styled
    words: Written
    build: Build

    @property
    def texts(self) -> dict[str, str]:
        return {text.name: text.text for text in self.words.texts}

    def chosen(self, area: Area) -> dict[str, str]:
        """Decision or slot -> what was chosen in this area: what a rework has to do differently."""
        if area == Area.PLAN:
            return {"action": self.plan.action.value, "order": self.plan.order}
        if area == Area.LOOK:
            return self.styled.labels
        return self.texts


class Kept(Record):
    """The parts of a draft that the next one takes over; None is made anew."""

    plan: Plan | None = None
    styled: Styled | None = None
    words: Written | None = None


def keep(draft: Draft, redo: frozenset[Area]) -> Kept:
    """All but the areas that are sent back. New words come with a new plan, too."""
    return Kept(
        plan=None if Area.PLAN in redo else draft.plan,
        styled=None if Area.LOOK in redo else draft.styled,
        words=None if redo & {Area.WORDS, Area.PLAN} else draft.words,
    )


class Directions(Record):
    """How each area is to be made, and how often the site was built."""

    areas: dict[Area, Direction] = Field(default_factory=lambda: {area: Direction() for area in Area})
    build: int = 1

    def again(self, wanted: frozenset[Area], draft: Draft, *, note: str, generate: bool) -> Directions:
        """Send these areas back. What depends on a plan is made again with it."""
        redone = wanted | ({Area.WORDS} if Area.PLAN in wanted else frozenset())
        areas = {}
        for area, direction in self.areas.items():
            if area not in redone:
                areas[area] = direction
                continue
            # Words that only follow a new plan need not avoid what they said before.
            chosen = draft.chosen(area) if area in wanted else {}
            areas[area] = direction.again(chosen, note).model_copy(update={"generate": generate})
        return Directions(areas=areas, build=self.build + 1)


def labels_of(choices: Choices) -> dict[str, str]:
    return {choice.name: choice.label for choice in choices.choices}


def explain_choices(choices: Choices) -> str:
    """``palette: terracotta (model, 0.31 against 0.12)``."""
    parts = []
    for choice in choices.choices:
        ranked = sorted(choice.scores, reverse=True)
        how = (
            f"by likelihood, {ranked[0]:+.2f} against {ranked[1]:+.2f}"
            if len(ranked) > 1
            else "the only option"
        )
        parts.append(f"{choice.name}: {choice.label} ({how})")
    return "; ".join(parts)


def explain_words(words: Written) -> str:
    """How many texts are the model's own, and why the others that it wrote were refused."""
    own = [text.name for text in words.texts if text.source == "model"]
    refused = [f"{text.name}: {reason}" for text in words.texts for reason in text.refused]
    parts = [f"{len(words.texts)} texts, {len(words.texts) - len(own)} chosen among prepared phrasings"]
    if own:
        parts.append(f"written by the model and past the fact check: {', '.join(own)}")
    if refused:
        parts.append("refused by the fact check: " + "; ".join(refused))
    return ". ".join(parts)
