"""Everything else that the owner reads: answers, lists, reports, labels of buttons."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

from master.approvals import Approval
from master.fleet.notices import Notice
from master.telegram.cards import Cards
from master.telegram.commands import NAMES, Order
from master.telegram.markup import MAX_CALLBACK_ANSWER, clean, clip, fit, fit_line
from master.telegram.speech import format_time
from master.telegram.spending import Spending

MOST_LISTED = 20
_MOST_SPENDING = 24


class Texts(Cards):
    """One language. Every method returns HTML, except those named ``..._label`` or ``..._answer``."""

    def approve_label(self) -> str:
        _ = self._translations.gettext
        return "✅ " + _("Approve")

    def reject_label(self) -> str:
        _ = self._translations.gettext
        return "❌ " + _("Reject")

    def details_label(self) -> str:
        _ = self._translations.gettext
        return "🔎 " + _("Details")

    def done_label(self, approval: Approval) -> str:
        _ = self._translations.gettext
        if not approval.cost_minor:
            return "☑️ " + _("Done")
        return "☑️ " + _("Done for {cost}").format(cost=self._cost(approval))

    def abandon_label(self) -> str:
        _ = self._translations.gettext
        return "🚫 " + _("Abandon")

    def pending(self, approvals: Sequence[Approval], to_do: Sequence[Approval] = ()) -> str:
        """The list of what waits for an answer, and of what is to be done."""
        _ = self._translations.gettext
        lines = []
        if approvals:
            lines += [self._count(len(approvals)), "", *self._list(approvals, MOST_LISTED)]
            lines += ["", _("/approve ID [note], /reject ID reason, /show ID")]
        else:
            lines.append(_("Nothing is waiting for you."))
        if to_do:
            room = max(3, MOST_LISTED - len(approvals))
            lines += ["", f"<b>{_('Approved and still to be done')}</b>", *self._list(to_do, room)]
            lines.append(_("/done ID cost [reference], /abandon ID reason"))
        return "\n".join(lines)

    def digest(self, approvals: Sequence[Approval]) -> str:
        """What was not told one by one."""
        _ = self._translations.gettext
        return "🗒 " + _("Today's other questions.") + "\n" + self.pending(approvals)

    def trial(self, name: str) -> str:
        """A message that only shows that messages arrive; ``name``: of who sent it."""
        _ = self._translations.gettext
        said = _("A test from the dashboard, sent by {name}. Notifications arrive here.")
        return "🔔 " + said.format(name=html.escape(clean(name)))

    def status(
        self,
        pending: Sequence[Approval],
        facts: Mapping[str, int],
        *,
        paused: bool = False,
        to_do: int = 0,
        spending: Sequence[Spending] = (),
    ) -> str:
        """How things stand: what waits for the owner, counts such as ``{"Runs": 3}``, the month's budgets."""
        _ = self._translations.gettext
        lines = ["⏸ " + _("Dispatch is paused; /resume starts it.")] if paused else []
        lines.append(self._count(len(pending)) if pending else _("Nothing is waiting for you."))
        if pending:
            oldest = min(approval.created_at for approval in pending)
            soonest = min(approval.expires_at for approval in pending)
            lines.append(_("The oldest was asked at {time}.").format(time=format_time(oldest)))
            lines.append(_("The next one expires at {time}.").format(time=format_time(soonest)))
        if to_do:
            lines.append(f"{_('Approved and still to be done')}: {to_do}")
        lines += [f"{_(name)}: {count}" for name, count in facts.items()]
        limited = [each for each in spending if each.limit_minor is not None]
        return "\n".join([*lines, *(self._spending(each) for each in limited[:_MOST_SPENDING])])

    def spending(self, month: str, spending: Sequence[Spending]) -> str:
        """The month's expenses by category, each against its budget line."""
        _ = self._translations.gettext
        title = f"<b>{_('Spending')} {fit_line(month, 10)}</b>"
        if not spending:
            return f"{title}\n" + _("Nothing was spent.")
        shown = [self._spending(each) for each in spending[:_MOST_SPENDING]]
        if len(spending) > _MOST_SPENDING:
            shown.append(_("… and {count} more").format(count=len(spending) - _MOST_SPENDING))
        return "\n".join([title, *shown])

    def help(self) -> str:
        _ = self._translations.gettext
        opening = _("I ask you before anything is bought or published. Nothing happens without your answer.")
        arguments = {
            Order.APPROVE: " ID [nota]",
            Order.REJECT: " ID motivo",
            Order.DONE: " ID costo [referencia]",
            Order.ABANDON: " ID motivo",
            Order.SHOW: " ID",
            Order.SPENDING: " [mes]",
        }
        lines = [
            f"/{names[0]}{arguments.get(order, '')} (/{names[1]}): {what}"
            for order, names in NAMES.items()
            for what in [self.what_for(order)]
        ]
        return "\n".join([opening, "", *lines])

    def what_for(self, order: Order) -> str:
        """What a command does, as help and Telegram's menu say it."""
        _ = self._translations.gettext
        purposes = {
            Order.PENDING: _("what is waiting for you"),
            Order.APPROVE: _("approve, with a note if you like"),
            Order.REJECT: _("reject, with the reason"),
            Order.DONE: _("you did it: what it cost, and a reference"),
            Order.ABANDON: _("it will not be done, with the reason"),
            Order.SHOW: _("all about one request"),
            Order.STATUS: _("how things stand"),
            Order.SPENDING: _("expenses by category"),
            Order.PAUSE: _("send no more work to the workers"),
            Order.RESUME: _("send work again"),
            Order.HELP: _("this text"),
        }
        return purposes[order]

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

    def cost_unclear(self, approval: Approval, why: str) -> str:
        _ = self._translations.gettext
        asked = _("What did <code>{id}</code> cost? Write <code>/done {id} cost [reference]</code>.")
        return f"{asked.format(id=self._id(approval))}\n{fit(why, 400)}"

    def month_unclear(self) -> str:
        _ = self._translations.gettext
        return _("Which month? Write it such as <code>/spending 2026-11</code>.")

    def paused(self, *, paused: bool) -> str:
        _ = self._translations.gettext
        if paused:
            return "⏸ " + _("Dispatch is paused: no new work is sent; what runs goes on. /resume starts it.")
        return "▶️ " + _("Dispatch runs.")

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
        return question.format(id=self._id(approval), title=fit_line(approval.title, 80))

    def ask_abandon_reason(self, approval: Approval) -> str:
        _ = self._translations.gettext
        question = _("Why will <code>{id}</code> ({title}) not be done? Answer this message with the reason.")
        return question.format(id=self._id(approval), title=fit_line(approval.title, 80))

    def decided(self, approval: Approval) -> str:
        """The answer to a decision, or to a try that came too late: what holds now."""
        return f"<code>{self._id(approval)}</code>: {self.standing(approval)}"

    def too_late(self, approval: Approval) -> str:
        _ = self._translations.gettext
        return _("<code>{id}</code> expired at {time}, so the answer is no.").format(
            id=self._id(approval), time=format_time(approval.expires_at)
        )

    def not_a_decider(self, why: str) -> str:
        _ = self._translations.gettext
        return f"🚫 {_('You may not decide this.')}\n{fit(why, 600)}"

    def no_budget(self, why: str) -> str:
        _ = self._translations.gettext
        return f"🚫 {_('No budget has room for this; nothing was approved.')}\n{fit(why, 600)}"

    def refused(self, why: str) -> str:
        _ = self._translations.gettext
        return f"🚫 {_('That was not accepted; nothing was changed.')}\n{fit(why, 600)}"

    def decided_answer(self, approval: Approval) -> str:
        """The short plain text that flashes up after a tap."""
        return self._short(f"{approval.id}: {self._state(approval.state)}")

    def refusal_answer(self) -> str:
        _ = self._translations.gettext
        return self._short(_("That was not accepted; see the message."))

    def superseded_answer(self) -> str:
        _ = self._translations.gettext
        return self._short(_("This request was changed since; see its newer message."))

    def refused_answer(self) -> str:
        _ = self._translations.gettext
        return self._short(_("This button is not valid. /pending lists what is waiting."))

    def private_answer(self) -> str:
        return self._short(self.private_only())

    def failed_answer(self) -> str:
        _ = self._translations.gettext
        return self._short(_("Something went wrong here; see the log of D8."))

    def _short(self, text: str) -> str:
        return clip(clean(text), MAX_CALLBACK_ANSWER)

    def _list(self, approvals: Sequence[Approval], most: int) -> list[str]:
        _ = self._translations.gettext
        lines = []
        for approval in approvals[:most]:
            cost = f" · {self._cost(approval)}" if approval.cost_minor else ""
            title = fit_line(approval.title, 70)
            lines.append(f"<code>{self._id(approval)}</code> {self._type(approval.type)}: {title}{cost}")
        if len(approvals) > most:
            lines.append(_("… and {count} more").format(count=len(approvals) - most))
        return lines

    def _spending(self, spending: Spending) -> str:
        _ = self._translations.gettext
        category = fit_line(spending.category, 40) if spending.category else _("all together")
        line = f"• {category}: <b>{self._money(spending.spent_minor, spending.currency)}</b>"
        if spending.limit_minor is not None:
            line += " " + _("of {limit}").format(limit=self._money(spending.limit_minor, spending.currency))
        if spending.held_minor:
            held = self._money(spending.held_minor, spending.currency)
            line += " " + _("(and {held} approved, not paid)").format(held=held)
        return line

    def _count(self, count: int) -> str:
        counted = self._translations.ngettext(
            "<b>{count} request is waiting for you</b>", "<b>{count} requests are waiting for you</b>", count
        )
        return counted.format(count=count)
