"""A request as the owner sees it, in every state.

Foreign text passes through ``markup.fit`` before it is put into a sentence; the sentences themselves
hold the only markup. Sizes are chosen so that the longest card stays under Telegram's 4096 units, and
the longest caption under 1024.
"""

from __future__ import annotations

import enum

from master.approvals import Approval, ApprovalState, ApprovalType
from master.telegram.markup import clean, fit, fit_line, units
from master.telegram.speech import SIGNS, Speech, format_time
from tasks.record import Record

_SHA256_LENGTH = 64


class Size(Record):
    """How much of a request is shown, in UTF-16 units and in lines."""

    title: int
    reason: int
    tried: int
    how: int
    note: int
    who: int
    #: Lines of evidence, and of what a yes would set going.
    evidence: int = 0
    payload: int = 0


#: In the message that tells of it.
SHORT = Size(title=256, reason=800, tried=500, how=300, note=400, who=80)
#: Because somebody asked.
FULL = Size(title=256, reason=800, tried=350, how=150, note=200, who=60, evidence=6, payload=4)
#: Under a photo.
CAPTION = Size(title=90, reason=140, tried=50, how=50, note=50, who=32)

_LABEL = 40
_VALUE = 90


class Heading(enum.StrEnum):
    """Why a request is shown once more."""

    NONE = ""
    REMIND = "remind"
    TO_DO = "to_do"
    ESCALATED = "escalated"
    #: After a long silence of Telegram's.
    AGAIN = "again"


def is_digest(value: str) -> bool:
    """Whether evidence names an artifact."""
    return len(value) == _SHA256_LENGTH and set(value) <= set("0123456789abcdef")


def is_cut(approval: Approval) -> bool:
    """Whether even the full card leaves something of the request out."""
    longest = ((approval.title, FULL.title), (approval.reason, FULL.reason), (approval.tried, FULL.tried))
    how = approval.expected.how if approval.expected else ""
    pairs = (*approval.evidence.items(), *approval.payload.items())
    return (
        any(units(clean(text)) > limit for text, limit in (*longest, (how, FULL.how)))
        or len(approval.evidence) > FULL.evidence
        or len(approval.payload) > FULL.payload
        or any(units(clean(k)) > _LABEL or (units(clean(v)) > _VALUE and not is_digest(v)) for k, v in pairs)
    )


class Cards(Speech):
    """Requests, whole."""

    def card(self, approval: Approval, size: Size, heading: Heading = Heading.NONE) -> str:
        """The request; once it is decided, who decided what and when."""
        lines = [self._heading(heading)] if heading else []
        lines += [
            f"<b>{self._type(approval.type)}</b> <code>{self._id(approval)}</code>",
            f"<b>{fit_line(approval.title, size.title)}</b>",
            "",
            *self._case(approval, size),
        ]
        if size.evidence:
            lines += self._particulars(approval, size)
        return "\n".join([*lines, "", self.standing(approval, size)])

    def superseded_card(self, approval: Approval) -> str:
        """In the place of a card whose request was changed: nothing that could be taken for it."""
        _ = self._translations.gettext
        title = f"<b>{self._type(approval.type)}</b> <code>{self._id(approval)}</code>"
        return f"{title}\n\n🔁 " + _("Superseded: the request was changed; see its newer message.")

    def standing(self, approval: Approval, size: Size = SHORT) -> str:
        """Where it stands: until when to answer, who decided what and when, what is to be done."""
        _ = self._translations.gettext
        state = approval.state
        if state is ApprovalState.PENDING:
            return "\n".join(self._waiting(approval, size))
        lines = [self._decided(approval, size)]
        if approval.awaits_execution:
            lines.append(self._to_do(approval))
        if state in (ApprovalState.EXECUTED, ApprovalState.ABANDONED):
            lines.append(self._ended(approval, size))
        if state is ApprovalState.SUPERSEDED and approval.replaced_by:
            lines.append(_("See <code>{id}</code>.").format(id=fit_line(approval.replaced_by, 32)))
        answered = state not in (ApprovalState.EXPIRED, ApprovalState.CANCELLED, ApprovalState.SUPERSEDED)
        if answered and approval.note:
            lines.append(_("Note: {note}").format(note=fit(approval.note, size.note)))
        return "\n".join(lines)

    def whole_text(self, approval: Approval) -> str:
        """Everything that is asked, as plain text for a file."""
        parts = [f"{approval.id} {approval.title}", approval.reason, approval.tried]
        if approval.expected is not None:
            parts.append(approval.expected.how)
        for pairs in (approval.payload, approval.evidence):
            parts += [f"{label}: {value}" for label, value in pairs.items()]
        return "\n\n".join(part for part in parts if part) + "\n"

    def _heading(self, heading: Heading) -> str:
        _ = self._translations.gettext
        headings = {
            Heading.REMIND: "🔔 " + _("Still waiting for your answer:"),
            Heading.TO_DO: "🔔 " + _("Approved, and still to be done:"),
            Heading.ESCALATED: "🔔 " + _("Nobody has answered this yet:"),
            Heading.AGAIN: "🔔 " + _("Telegram was away. If you had answered this, please answer again:"),
        }
        return headings[heading]

    def _case(self, approval: Approval, size: Size) -> list[str]:
        """What it costs, what it brings, why, and what was tried."""
        _ = self._translations.gettext
        lines = []
        if approval.cost_minor:
            cost = _("Cost: <b>{cost}</b> ({category})")
            lines.append(cost.format(cost=self._cost(approval), category=fit_line(approval.category, _LABEL)))
        if approval.expected is not None:
            sentence = _("Expected return: <b>{expected}</b>, between {low} and {high}: {how}")
            low, expected, high = (
                self._money(minor, approval.currency)
                for minor in (
                    approval.expected.low_minor,
                    approval.expected.expected_minor,
                    approval.expected.high_minor,
                )
            )
            how = fit(approval.expected.how, size.how)
            lines.append(sentence.format(expected=expected, low=low, high=high, how=how))
        lines.append(_("Why: {reason}").format(reason=fit(approval.reason, size.reason)))
        if approval.tried:
            lines.append(_("Tried first: {tried}").format(tried=fit(approval.tried, size.tried)))
        return lines

    def _waiting(self, approval: Approval, size: Size) -> list[str]:
        _ = self._translations.gettext
        lines = []
        if approval.quorum > 1:
            names = fit_line(", ".join(vote.by for vote in approval.votes), 2 * size.who)
            said = _("<b>{count} of {quorum}</b> said yes") if names else _("It takes {quorum} yeses")
            told = said.format(count=len(approval.votes), quorum=approval.quorum)
            lines.append("🗳 " + (f"{told}: {names}" if names else told))
        deadline = _("Please answer before {time}. No answer means no.")
        sign = SIGNS[approval.state]
        return [*lines, f"{sign} " + deadline.format(time=format_time(approval.expires_at))]

    def _decided(self, approval: Approval, size: Size) -> str:
        """Who said what, by which door, and when. An end without an answer blames nobody."""
        _ = self._translations.gettext
        done = approval.state in (ApprovalState.EXECUTED, ApprovalState.ABANDONED)
        state = ApprovalState.APPROVED if done else approval.state
        headline = f"{SIGNS[state]} <b>{self._state(state)}</b>"
        if state in (ApprovalState.APPROVED, ApprovalState.REJECTED):
            headline += " " + _("by {by} via {door}").format(
                by=fit_line(approval.decided_by, size.who), door=fit_line(approval.door, 24)
            )
        if approval.decided_at is not None:
            headline += ", " + format_time(approval.decided_at)
        return headline

    def _to_do(self, approval: Approval) -> str:
        _ = self._translations.gettext
        if approval.type is ApprovalType.PAYMENT:
            sentence = _("Pay it now; then write <code>/done {id} cost reference</code>, before {time}.")
        elif approval.type is ApprovalType.API_ACCOUNT:
            sentence = _(
                "Open the account now; then write <code>/done {id} cost reference</code>, before {time}. "
                "Never write a password here."
            )
        else:
            sentence = _("Do it now; then write <code>/done {id} cost reference</code>, before {time}.")
        due = format_time(approval.execute_by) if approval.execute_by else ""
        return "👉 " + sentence.format(id=self._id(approval), time=due)

    def _ended(self, approval: Approval, size: Size) -> str:
        """That it was done, for how much; or not."""
        _ = self._translations.gettext
        line = f"{SIGNS[approval.state]} <b>{self._state(approval.state)}</b>"
        if approval.executed_by:
            line += " " + _("by {by}").format(by=fit_line(approval.executed_by, size.who))
        if approval.executed_at is not None:
            line += ", " + format_time(approval.executed_at)
        if approval.actual_minor:
            line += ", " + _("for {cost}").format(cost=self._money(approval.actual_minor, approval.currency))
        if approval.reference:
            line += "\n" + _("Reference: {reference}").format(reference=fit_line(approval.reference, 60))
        return line

    def _particulars(self, approval: Approval, size: Size) -> list[str]:
        _ = self._translations.gettext
        asked = _("Asked at {time} by run <code>{run}</code>, step <code>{step}</code>, revision {revision}.")
        return [
            *self._pairs(_("A yes sets going:"), approval.payload, size.payload),
            *self._pairs(_("Evidence:"), approval.evidence, size.evidence),
            asked.format(
                time=format_time(approval.asked_at),
                run=fit_line(approval.run_id, 40),
                step=fit_line(approval.step_key, 60),
                revision=approval.revision,
            ),
        ]

    def _pairs(self, title: str, pairs: dict[str, str], most: int) -> list[str]:
        _ = self._translations.gettext
        lines = []
        for label, value in list(pairs.items())[:most]:
            artifact = _("artifact {digest}").format(digest=value[:12])
            shown = artifact if is_digest(value) else fit_line(value, _VALUE)
            lines.append(f"• {fit_line(label, _LABEL)}: {shown}")
        if len(pairs) > most:
            lines.append(_("… and {count} more").format(count=len(pairs) - most))
        return [title, *lines] if lines else []
