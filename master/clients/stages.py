"""The five phases of a client project as steps of the flow: who is asked what, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable

from master.clients.kits import MOTIFS, Kit
from master.clients.looks import assemble_look, look_decisions
from master.clients.plans import (
    NEEDS,
    describe_business,
    ordered_sections,
    research_decisions,
    strategy_decisions,
    structure_decisions,
)
from master.clients.project import (
    Build,
    Directions,
    Discovery,
    Draft,
    Entry,
    Kept,
    Plan,
    Styled,
    explain_choices,
    explain_words,
    labels_of,
)
from master.clients.rework import Area, Direction
from master.clients.slots import site_slots, summary_slots
from master.flows import FlowContext, Handle
from tasks import client_build, client_choose, client_draw, client_examine, client_review, client_write
from tasks.client_brief import Brief
from tasks.client_look import Action

#: Texts that the model writes for each slot that it may write itself.
_SAMPLES = 2


class Stages:
    """One project's phases. Each method asks for its steps and gives what they decided."""

    def __init__(self, context: FlowContext, brief: Brief, tell: Callable[[Entry], None]) -> None:
        self._context = context
        self._brief = brief
        self._tell = tell
        self._summary_handle: Handle[client_write.Result] | None = None
        self._summarized = False

    def discover(self) -> Discovery:
        """Discovery: the analyst reads, the researcher asks who comes and why."""
        facts = self._context.start(
            "discovery:analyst:facts", client_examine.TASK, client_examine.Request(brief=self._brief)
        )
        audience = self._choose(
            "discovery:researcher:audience", "researcher", research_decisions(self._brief)
        )
        examined, choices = facts.result(), audience.result()
        labels = labels_of(choices)
        remarks = len(examined.gaps) + len(examined.conflicts)
        self._note(
            "discovery",
            "analyst",
            f"{len(examined.facts.numbers)} numbers and {len(examined.facts.prices)} prices may be stated; "
            f"remarks on the brief: {remarks}",
        )
        self._note("discovery", "researcher", explain_choices(choices))
        return Discovery(examined=examined, kit=labels["kit"], need=labels["need"])

    def make(self, discovery: Discovery, directions: Directions, kept: Kept) -> Draft:
        """Strategy, design, build and quality, all but what is kept of the draft before."""
        plan = kept.plan or self._plan(discovery, directions.areas[Area.PLAN])
        style = self._ask_look(discovery, directions.areas[Area.LOOK], kept.styled)
        write = self._ask_words(discovery, plan, directions.areas[Area.WORDS], kept.words)
        # Both were asked for before either is waited for.
        styled, words = style(), write()
        if kept.styled is None:
            drawn = f"logo, favicon and a hero picture with the motif {styled.look.motif.value!r}"
            self._note("build", "designer", drawn)
        return Draft(
            plan=plan, styled=styled, words=words, build=self._build(plan, styled, words, directions.build)
        )

    def summary_sentences(self) -> dict[str, str]:
        """Quality: the strategist's sentences for the executive summary."""
        words = self._summary().result()
        if not self._summarized:
            self._summarized = True
            self._note("quality", "strategist", "executive summary: " + explain_words(words))
        return {text.name: text.text for text in words.texts}

    def _summary(self) -> Handle[client_write.Result]:
        """Asked for once in each pass, whoever needs it first."""
        if self._summary_handle is None:
            self._summary_handle = self._context.start(
                "quality:strategist:summary",
                client_write.TASK,
                client_write.Request(
                    role="strategist",
                    brief=self._brief,
                    slots=summary_slots(self._brief),
                    model=self._context.settings.model,
                ),
            )
        return self._summary_handle

    def _plan(self, discovery: Discovery, direction: Direction) -> Plan:
        """Strategy: the strategist picks the invitation, the architect the order of the home page."""
        suffix = f"v{direction.version}"
        message = self._choose(
            f"strategy:strategist:message:{suffix}",
            "strategist",
            strategy_decisions(self._brief, direction.avoid),
            direction.note,
        )
        structure = self._choose(
            f"strategy:architect:structure:{suffix}",
            "architect",
            structure_decisions(direction.avoid),
            direction.note,
            f"Visitors first want to know {NEEDS[discovery.need]}.",
        )
        invitation, order = self._context.gather([message, structure])
        self._note("strategy", "strategist", explain_choices(invitation))
        self._note("strategy", "architect", explain_choices(order))
        label = labels_of(order)["order"]
        return Plan(
            action=Action(labels_of(invitation)["action"]),
            order=label,
            sections=ordered_sections(self._brief, label),
        )

    def _ask_look(self, discovery: Discovery, way: Direction, kept: Styled | None) -> Callable[[], Styled]:
        """Design: the designer's choices, and the drawings that need them."""
        if kept is not None:
            return lambda: kept
        handle = self._choose(
            f"design:designer:look:v{way.version}",
            "designer",
            look_decisions(self._brief, way.avoid),
            way.note,
        )
        return lambda: self._style(handle.result(), Kit(discovery.kit), way.version)

    def _style(self, choices: client_choose.Result, kit: Kit, version: int) -> Styled:
        labels = labels_of(choices)
        look = assemble_look(labels, MOTIFS[kit], self._brief)
        drawn = self._context.call(
            f"build:designer:artwork:v{version}",
            client_draw.TASK,
            client_draw.Request(
                name=self._brief.name,
                look=look,
                seed=self._context.random(f"artwork:{version}").randrange(2**31),
            ),
        )
        self._note("design", "designer", explain_choices(choices))
        return Styled(labels=labels, look=look, artwork=drawn.artwork)

    def _ask_words(
        self, discovery: Discovery, plan: Plan, way: Direction, kept: client_write.Result | None
    ) -> Callable[[], client_write.Result]:
        """Design: the copywriter's texts."""
        if kept is not None:
            return lambda: kept
        handle = self._context.start(
            f"design:copywriter:words:v{way.version}",
            client_write.TASK,
            client_write.Request(
                role="copywriter",
                brief=self._brief,
                note=way.note,
                slots=site_slots(self._brief, Kit(discovery.kit), plan.action, way.avoid),
                samples=_SAMPLES if way.generate else 0,
                seed=way.version * 1000,
                model=self._context.settings.model,
            ),
        )

        def finish() -> client_write.Result:
            words = handle.result()
            self._note("design", "copywriter", explain_words(words))
            return words

        return finish

    def _build(self, plan: Plan, styled: Styled, words: client_write.Result, number: int) -> Build:
        """Build and quality: the developer renders, the reviewer checks."""
        built = self._context.call(
            f"build:developer:site:b{number}",
            client_build.TASK,
            client_build.Request(
                brief=self._brief,
                look=styled.look,
                artwork=styled.artwork,
                sections=plan.sections,
                action=plan.action,
                texts={text.name: text.text for text in words.texts},
            ),
        )
        total = sum(file.bytes for file in built.files)
        self._note(
            "build",
            "developer",
            f"{len(built.files)} files, {total / 1024:.0f} KiB, artifact {built.site_sha256[:12]}",
        )
        checking = self._context.start(
            f"quality:reviewer:review:b{number}",
            client_review.TASK,
            client_review.Request(brief=self._brief, site_sha256=built.site_sha256),
        )
        self._summary()
        review = checking.result()
        failed = "; ".join(f"{check.name.value}: {check.detail}" for check in review.failed)
        self._note(
            "quality",
            "reviewer",
            f"{len(review.checks) - len(review.failed)} of {len(review.checks)} checks "
            f"passed" + (f". Failed: {failed}" if failed else ""),
        )
        return Build(site_sha256=built.site_sha256, files=len(built.files), bytes=total, review=review)

    def _choose(
        self,
        key: str,
        role: str,
        decisions: tuple[client_choose.DecisionPoint, ...],
        note: str = "",
        *more: str,
    ) -> Handle[client_choose.Result]:
        return self._context.start(
            key,
            client_choose.TASK,
            client_choose.Request(
                role=role,
                about=describe_business(self._brief, *more),
                note=note,
                decisions=decisions,
                model=self._context.settings.model,
            ),
        )

    def _note(self, phase: str, role: str, text: str) -> None:
        self._tell(Entry(phase=phase, role=role, text=text))
