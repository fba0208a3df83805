"""Everything the owner reads, as Telegram HTML, in the language of a gettext catalogue.

Foreign text passes through ``markup.fit`` before it is put into a sentence; the sentences themselves
hold the only markup. Sizes are chosen so that the longest card stays under Telegram's 4096 units.
"""

from __future__ import annotations

import gettext
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from master.approvals import Approval, ApprovalState, ApprovalType
from master.fleet.notices import Notice
from master.ledger.money import format_money
from master.telegram.markup import fit, fit_line

MOST_LISTED = 20
_MOST_EVIDENCE = 8
_SHA256_LENGTH = 64

_SIGNS = {
    ApprovalState.PENDING: "⏳",
    ApprovalState.APPROVED: "✅",
    ApprovalState.REJECTED: "❌",
    ApprovalState.EXPIRED: "⌛",
    ApprovalState.CANCELLED: "🚫",
    ApprovalState.SUPERSEDED: "🔁",
    ApprovalState.EXECUTED: "✅",
    ApprovalState.ABANDONED: "🚫",
}


def format_time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


class Texts:
    """One language. Every method returns HTML, except those named ``..._label`` or ``..._answer``."""

    def __init__(self, translations: gettext.NullTranslations) -> None:
        self._translations = translations

    def card(self, approval: Approval, *, full: bool) -> str:
        """The request; once it is decided, who decided what and when. ``full`` adds the evidence."""
        _ = self._translations.gettext
        lines = [
            f"<b>{self._type(approval.type)}</b> <code>{fit_line(approval.id, 32)}</code>",
            f"<b>{fit_line(approval.title, 256)}</b>",
            "",
        ]
        if approval.cost_minor:
            lines.append(_("Cost: <b>{cost}</b>").format(cost=self._cost(approval)))
        lines.append(_("Why: {reason}").format(reason=fit(approval.reason, 800)))
        if approval.tried:
            lines.append(_("Tried first: {tried}").format(tried=fit(approval.tried, 500)))
        if full:
            lines += self._particulars(approval)
        return "\n".join([*lines, "", self._standing(approval)])

    def superseded_card(self, approval: Approval) -> str:
        """In the place of a card whose request was changed: nothing that could be taken for it."""
        _ = self._translations.gettext
        title = f"<b>{self._type(approval.type)}</b> <code>{fit_line(approval.id, 32)}</code>"
        return f"{title}\n\n🔁 " + _("Superseded: the request was changed; see its newer message.")

    def approve_label(self) -> str:
        _ = self._translations.gettext
        return "✅ " + _("Approve")

    def reject_label(self) -> str:
        _ = self._translations.gettext
        return "❌ " + _("Reject")

    def details_label(self) -> str:
        _ = self._translations.gettext
        return "🔎 " + _("Details")

    def pending(self, approvals: Sequence[Approval]) -> str:
        """The list of what waits for an answer."""
        _ = self._translations.gettext
        if not approvals:
            return _("Nothing is waiting for you.")
        lines = [self._count(len(approvals)), ""]
        for approval in approvals[:MOST_LISTED]:
            cost = f" · {self._cost(approval)}" if approval.cost_minor else ""
            title = fit_line(approval.title, 80)
            name = f"<code>{fit_line(approval.id, 32)}</code> {self._type(approval.type)}"
            lines.append(f"{name}: {title}{cost}")
        if len(approvals) > MOST_LISTED:
            lines.append(_("… and {count} more").format(count=len(approvals) - MOST_LISTED))
        return "\n".join([*lines, "", _("/approve ID [note], /reject ID reason, /show ID")])

    def status(self, pending: Sequence[Approval], facts: Mapping[str, int]) -> str:
        """How things stand: what waits for the owner, and counts such as ``{"runs": 3}``."""
        _ = self._translations.gettext
        lines = [self._count(len(pending)) if pending else _("Nothing is waiting for you.")]
        if pending:
            oldest = min(approval.created_at for approval in pending)
            soonest = min(approval.expires_at for approval in pending)
            lines.append(_("The oldest was asked at {time}.").format(time=format_time(oldest)))
            lines.append(_("The next one expires at {time}.").format(time=format_time(soonest)))
        lines += [f"{_(name)}: {count}" for name, count in facts.items()]
        return "\n".join(lines)

    def help(self) -> str:
        _ = self._translations.gettext
        return "\n".join(
            [
                _("I ask you before anything is bought or published. Nothing happens without your answer."),
                "",
                "/solicitudes_pendientes (/pending): " + _("what is waiting for you"),
                "/aprobar ID [nota] (/approve): " + _("approve, with a note if you like"),
                "/rechazar ID motivo (/reject): " + _("reject, with the reason"),
                "/ver ID (/show): " + _("all about one request"),
                "/estado (/status): " + _("how things stand"),
                "/ayuda (/help): " + _("this text"),
            ]
        )

    def notice(self, notice: Notice) -> str:
        """Something needs the owner."""
        return f"⚠️ {self._about(notice)}"

    def notice_over(self, notice: Notice) -> str:
        """It does not any more."""
        _ = self._translations.gettext
        return "✅ " + _("This is over: {about}").format(about=self._about(notice))

    def _about(self, notice: Notice) -> str:
        _ = self._translations.gettext
        sentences = {
            "worker_offline": _("Worker <b>{worker}</b> is offline: {reason}"),
            "worker_wrong_build": _("Worker <b>{worker}</b> gets no work: {reason}"),
            "worker_quarantined": _("Worker <b>{worker}</b> was put aside: {reason}"),
            "worker_not_consuming": _("Worker <b>{worker}</b> answers but takes no work: {reason}"),
        }
        sentence = sentences.get(notice.kind, "<b>{worker}</b>: {reason}")
        worker, reason = str(notice.data.get("worker", notice.subject)), str(notice.data.get("reason", ""))
        return sentence.format(worker=fit_line(worker, 80), reason=fit(reason, 800))

    def unknown(self) -> str:
        _ = self._translations.gettext
        return _("I did not understand that. /help lists what I can do.")

    def id_missing(self) -> str:
        _ = self._translations.gettext
        return _("Which request? Write its ID after the command; /pending lists them.")

    def not_found(self, approval_id: str) -> str:
        _ = self._translations.gettext
        return _("There is no request <code>{id}</code>. /pending lists what is waiting.").format(
            id=fit_line(approval_id, 32)
        )

    def reply_unknown(self) -> str:
        _ = self._translations.gettext
        return _("I no longer know which request that answers. Please write /reject ID reason.")

    def private_only(self) -> str:
        _ = self._translations.gettext
        return _("I only take orders in a private chat.")

    def not_processed(self) -> str:
        _ = self._translations.gettext
        return _("Something went wrong here and your message was not acted on; see the log of D8.")

    def ask_reason(self, approval: Approval) -> str:
        _ = self._translations.gettext
        question = _("Why do you reject <code>{id}</code> ({title})? Answer this message with the reason.")
        return question.format(id=fit_line(approval.id, 32), title=fit_line(approval.title, 80))

    def decided(self, approval: Approval) -> str:
        """The answer to a decision, or to a try that came too late: what holds now."""
        return f"<code>{fit_line(approval.id, 32)}</code>: {self._standing(approval)}"

    def too_late(self, approval: Approval) -> str:
        _ = self._translations.gettext
        return _("<code>{id}</code> expired at {time}, so the answer is no.").format(
            id=fit_line(approval.id, 32), time=format_time(approval.expires_at)
        )

    def decided_answer(self, approval: Approval) -> str:
        """The short plain text that flashes up after a tap."""
        _ = self._translations.gettext
        return f"{approval.id}: {self._state(approval.state)}"

    def superseded_answer(self) -> str:
        _ = self._translations.gettext
        return _("This request was changed since; see its newer message.")

    def refused_answer(self) -> str:
        _ = self._translations.gettext
        return _("This button is not valid. /pending lists what is waiting.")

    def failed_answer(self) -> str:
        _ = self._translations.gettext
        return _("Something went wrong here; see the log of D8.")

    def _standing(self, approval: Approval) -> str:
        _ = self._translations.gettext
        if approval.state is ApprovalState.PENDING:
            deadline = _("Please answer before {time}. No answer means no.")
            return f"{_SIGNS[approval.state]} " + deadline.format(time=format_time(approval.expires_at))
        headline = f"{_SIGNS[approval.state]} <b>{self._state(approval.state)}</b>"
        human = approval.state in (ApprovalState.APPROVED, ApprovalState.REJECTED)
        if human:
            headline += " " + _("by {by} via {door}").format(
                by=fit_line(approval.decided_by, 80), door=fit_line(approval.door, 24)
            )
        if approval.decided_at is not None:
            headline += ", " + format_time(approval.decided_at)
        if human and approval.note:
            headline += "\n" + _("Note: {note}").format(note=fit(approval.note, 400))
        return headline

    def _particulars(self, approval: Approval) -> list[str]:
        _ = self._translations.gettext
        lines = []
        for label, value in list(approval.evidence.items())[:_MOST_EVIDENCE]:
            is_digest = len(value) == _SHA256_LENGTH and set(value) <= set("0123456789abcdef")
            shown = _("artifact {digest}").format(digest=value[:12]) if is_digest else fit_line(value, 120)
            lines.append(f"• {fit_line(label, 40)}: {shown}")
        if len(approval.evidence) > _MOST_EVIDENCE:
            lines.append(_("… and {count} more").format(count=len(approval.evidence) - _MOST_EVIDENCE))
        asked = _("Asked at {time} by run <code>{run}</code>, step <code>{step}</code>, revision {revision}.")
        return [
            *([_("Evidence:"), *lines] if lines else []),
            asked.format(
                time=format_time(approval.created_at),
                run=fit_line(approval.run_id, 48),
                step=fit_line(approval.step_key, 80),
                revision=approval.revision,
            ),
        ]

    def _cost(self, approval: Approval) -> str:
        return fit_line(format_money(approval.cost_minor, approval.currency), 32)

    def _count(self, count: int) -> str:
        counted = self._translations.ngettext(
            "<b>{count} request is waiting for you</b>", "<b>{count} requests are waiting for you</b>", count
        )
        return counted.format(count=count)

    def _type(self, kind: ApprovalType) -> str:
        _ = self._translations.gettext
        names = {
            ApprovalType.PAYMENT: _("Payment"),
            ApprovalType.DESIGN_DECISION: _("Design decision"),
            ApprovalType.API_ACCOUNT: _("Account at a service"),
            ApprovalType.CONTENT_APPROVAL: _("Content to approve"),
            ApprovalType.STRATEGIC_DECISION: _("Strategic decision"),
        }
        return names[kind]

    def _state(self, state: ApprovalState) -> str:
        _ = self._translations.gettext
        names = {
            ApprovalState.PENDING: _("Waiting"),
            ApprovalState.APPROVED: _("Approved"),
            ApprovalState.REJECTED: _("Rejected"),
            ApprovalState.EXPIRED: _("Expired: nobody answered in time, so the answer is no"),
            ApprovalState.CANCELLED: _("Cancelled: it is no longer needed"),
            ApprovalState.SUPERSEDED: _("Superseded by another request"),
            ApprovalState.EXECUTED: _("Done"),
            ApprovalState.ABANDONED: _("Abandoned: it was approved, but not done"),
        }
        return names[state]
