"""One language: the names of types and states, money, times. What cards and answers are made of."""

from __future__ import annotations

import gettext
from datetime import UTC, datetime

from master.approvals import Approval, ApprovalState, ApprovalType
from master.ledger.money import format_money
from master.telegram.markup import fit_line

SIGNS = {
    ApprovalState.PENDING: "⏳",
    ApprovalState.APPROVED: "✅",
    ApprovalState.REJECTED: "❌",
    ApprovalState.EXPIRED: "⌛",
    ApprovalState.CANCELLED: "🚫",
    ApprovalState.SUPERSEDED: "🔁",
    ApprovalState.EXECUTED: "☑️",
    ApprovalState.ABANDONED: "🚫",
}


def format_time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


class Speech:
    """Words of one language. Methods return HTML, except those named ``..._label`` or ``..._answer``."""

    def __init__(self, translations: gettext.NullTranslations) -> None:
        self._translations = translations

    def _cost(self, approval: Approval) -> str:
        return self._money(approval.cost_minor, approval.currency)

    def _money(self, minor: int, currency: str) -> str:
        return fit_line(format_money(minor, currency), 32)

    def _id(self, approval: Approval) -> str:
        return fit_line(approval.id, 32)

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
