"""The flow ``client``: ten tasks in five phases, the owner's yes, and a published site.

    discovery  analyst: facts          researcher: audience
    strategy   strategist: message     architect: structure
    design     designer: look          copywriter: words
    build      designer: artwork       developer: site
    quality    reviewer: review        strategist: summary

A draft that fails the review is sent back once by itself. A draft that the owner rejects is made again
once with the reason; a second no is final.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection

from master.approvals.records import ApprovalState
from master.clients import documents
from master.clients.folder import place_folder, read_site
from master.clients.project import Directions, Discovery, Draft, Entry, Kept, keep
from master.clients.rework import areas_of, areas_of_checks
from master.clients.stages import Stages
from master.clients.states import ClientState
from master.clients.store import get_brief, move_client, note_client, resume_client
from master.clients.watch import FLOW
from master.clock import utc_now
from master.flows import ApprovalType, Decision, FlowContext, Question, StepFailed, flow
from tasks.client_brief import Brief
from tasks.client_review import Result as Review
from tasks.errors import InvalidInput
from tasks.record import Record

#: Drafts that the owner sees at most: the first and one rework.
_ROUNDS = 2
DRAFT, SITE = "draft", "site"


class Params(Record):
    client_id: str


@flow(FLOW, params=Params)
def deliver(context: FlowContext, params: Params) -> dict[str, Any]:
    """Deliver one client's project; ``{"client", "state", "folder" | "reason"}``."""
    client_id = params.client_id
    stored = context.act("brief", lambda c: get_brief(c, client_id).model_dump(mode="json"))
    try:
        return _Delivery(context, client_id, Brief.model_validate(stored)).run()
    except (StepFailed, InvalidInput) as error:
        # The text must be taken now: the name ``error`` is gone when the action runs.
        _fail(context, client_id, str(error), key="broken")
        raise


def _fail(context: FlowContext, client_id: str, reason: str, *, key: str = "failed") -> dict[str, Any]:
    def act(connection: Connection) -> None:
        move_client(connection, client_id, ClientState.FAILED, utc_now(), note=reason)

    context.act(key, act)
    context.progress(1.0, f"failed: {reason}")
    return {"client": client_id, "state": ClientState.FAILED.value, "reason": reason}


class _Delivery:
    """One pass over one project."""

    def __init__(self, context: FlowContext, client_id: str, brief: Brief) -> None:
        self._context = context
        self._id = client_id
        self._brief = brief
        self._log: list[Entry] = []
        self._sent_back: list[str] = []
        self._stages = Stages(context, brief, self._log.append)

    def run(self) -> dict[str, Any]:
        self._context.progress(0.02, "discovery")
        discovery = self._stages.discover()
        directions, kept, number = Directions(), Kept(), 0
        while True:
            number += 1
            self._context.progress(0.2 + 0.4 * (number - 1), f"making draft {number}")
            directions, draft = self._make_reviewed(discovery, directions, kept)
            if draft.build.review.failed:
                return self._give_up(discovery, draft, _review_reason(draft.build.review))
            decision = self._ask(discovery, draft, number)
            if decision.approved:
                return self._publish(discovery, draft, decision)
            reason = decision.note.strip() or "no reason was given"
            self._tell("quality", "owner", f"{decision.state} draft {number}: {reason}")
            if decision.state is not ApprovalState.REJECTED:
                return self._give_up(
                    discovery, draft, f"the request to approve draft {number} {decision.state}"
                )
            if number == _ROUNDS:
                return self._give_up(discovery, draft, f"rejected {number} times; the last reason: {reason}")
            redo = areas_of(reason)
            remade = ", ".join(sorted(redo))
            self._sent_back.append(f"draft {number}, by the owner: {reason} (made again: {remade})")
            directions, kept = directions.again(redo, draft, note=reason, generate=True), keep(draft, redo)

    def _make_reviewed(
        self, discovery: Discovery, directions: Directions, kept: Kept
    ) -> tuple[Directions, Draft]:
        """A draft, made again once if its review fails."""
        draft = self._stages.make(discovery, directions, kept)
        failed = draft.build.review.failed
        if not failed:
            return directions, draft
        redo = areas_of_checks(failed)
        self._sent_back.append(
            f"build {directions.build}, by the reviewer: {_review_reason(draft.build.review)}"
        )
        directions = directions.again(redo, draft, note="", generate=False)
        return directions, self._stages.make(discovery, directions, keep(draft, redo))

    def _ask(self, discovery: Discovery, draft: Draft, number: int) -> Decision:
        place, client_id = self._placing(discovery, draft, DRAFT), self._id

        def put(connection: Connection) -> str:
            resume_client(connection, client_id, utc_now())
            note_client(connection, client_id, f"draft {number} waits for your approval")
            return place()

        folder = self._context.act(f"draft:{number}", put)
        self._context.progress(0.55 + 0.35 * (number - 1), f"draft {number} waits for approval")
        return self._context.ask(f"approval:{number}", self._question(draft, number, folder))

    def _question(self, draft: Draft, number: int, folder: str) -> Question:
        last = "this was its rework: rejecting it ends the project"
        first = "rejecting it with a reason has it made again once"
        return Question(
            type=ApprovalType.CONTENT_APPROVAL,
            title=f"Publish the website of {self._brief.name}?",
            reason=f"Draft {number} of {_ROUNDS} is ready: {folder}/{DRAFT}/index.html. Approving publishes "
            f"it; {first if number < _ROUNDS else last}.",
            tried="; ".join(
                [f"{len(draft.build.review.checks)} quality checks, all passed", *self._sent_back]
            )[:4000],
            evidence={
                "project": self._id,
                "folder": folder,
                "site": draft.build.site_sha256,
                "headline": draft.texts["hero.headline"],
                "pages": ", ".join(self._brief.pages),
            },
        )

    def _publish(self, discovery: Discovery, draft: Draft, decision: Decision) -> dict[str, Any]:
        by = decision.by or "the owner"
        self._tell("quality", "owner", f"approved by {by}" + (f": {decision.note}" if decision.note else ""))
        place, client_id = self._placing(discovery, draft, SITE), self._id

        def publish(connection: Connection) -> str:
            # Repeated after a crash, both halves find their work done: the folder holds these very files.
            folder = place()
            resume_client(connection, client_id, utc_now())
            move_client(
                connection,
                client_id,
                ClientState.COMPLETED,
                utc_now(),
                note=f"approved by {by}",
                folder=folder,
            )
            return folder

        folder = self._context.act("published", publish)
        self._context.progress(1.0, f"published in {folder}")
        return {"client": client_id, "state": ClientState.COMPLETED.value, "folder": folder}

    def _give_up(self, discovery: Discovery, draft: Draft, reason: str) -> dict[str, Any]:
        """The project fails; its draft and papers stay for whoever wants to know why."""
        self._tell("quality", "reviewer", f"the project failed: {reason}")
        place = self._placing(discovery, draft, DRAFT)
        self._context.act("last-draft", lambda _: place())
        return _fail(self._context, self._id, reason)

    def _placing(self, discovery: Discovery, draft: Draft, part: str) -> Callable[[], str]:
        """Writes the project's folder with its papers and the site in ``part``; gives its path."""
        site = read_site(self._context.read_artifact(draft.build.site_sha256))
        files = self._papers(discovery, draft, published=part == SITE) | {
            f"{part}/{path}": data for path, data in site.items()
        }
        root, project = self._context.settings.output, self._id
        return lambda: str(place_folder(root, project, files))

    def _papers(self, discovery: Discovery, draft: Draft, *, published: bool) -> dict[str, bytes]:
        """The project's documents, path -> content."""
        review = draft.build.review
        texts = {
            "executive-summary.md": documents.executive_summary(
                self._brief, discovery, draft, self._stages.summary_sentences(), published
            ),
            "quality-report.md": documents.quality_report(self._id, self._brief, review, self._sent_back),
            "quality-report.json": documents.quality_data(self._id, review),
            "log.md": documents.project_log(self._id, self._brief, self._log),
        }
        return {path: text.encode("utf-8") for path, text in texts.items()}

    def _tell(self, phase: str, role: str, text: str) -> None:
        self._log.append(Entry(phase=phase, role=role, text=text))


def _review_reason(review: Review) -> str:
    faults = "; ".join(f"{check.name.value}: {check.detail}" for check in review.failed)
    return f"{len(review.failed)} of {len(review.checks)} quality checks failed: {faults}"[:1500]
