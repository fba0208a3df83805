"""The journal in formats that other programs read: hledger, beancount, CSV. Pure.

Entries come in pages; each writer gets them in order and returns text. Amounts keep the currency's own
decimal places, with a point. What people wrote goes into comments and descriptions with everything taken out
that would mean something to the format.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable

from master.ledger.money import format_number
from master.ledger.report import EntryLine, MonthReport

#: What ends a line, a description or a tag in one of the formats.
_MEANINGFUL = re.compile(r'[\x00-\x1f\x7f\x85\u2028\u2029;|"\\]+')
_CSV_COLUMNS = (
    "seq at month kind account amount currency category project run approval reference by note reverses hash"
)
FORMATS = ("hledger", "beancount", "csv")
MEDIA_TYPES = {"hledger": "text/plain", "beancount": "text/plain", "csv": "text/csv"}
SUFFIXES = {"hledger": "journal", "beancount": "beancount", "csv": "csv"}


class JournalWriter:
    """Writes one format, a page of entries at a time."""

    def __init__(self, form: str) -> None:
        self._form = form
        self._opened: set[str] = set()

    def begin(self) -> str:
        if self._form == "csv":
            return _csv_lines([_CSV_COLUMNS.split()])
        if self._form == "hledger":
            return "; D8's ledger: each amount in its currency's own places\ndecimal-mark .\n\n"
        return ';; D8\'s ledger\noption "title" "D8"\n\n'

    def page(self, entries: Iterable[EntryLine]) -> str:
        if self._form == "csv":
            return _csv_lines(row for entry in entries for row in _csv_rows(entry))
        write = self._hledger if self._form == "hledger" else self._beancount
        return "".join(write(entry) for entry in entries)

    def _hledger(self, entry: EntryLine) -> str:
        lines = [f"{entry.at:%Y-%m-%d} ({entry.seq}) {entry.kind} {_clean(entry.note)}".rstrip()]
        lines += [f"    ; {name}: {value}" for name, value in _about(entry)]
        lines += [
            f"    {posting.account}  {format_number(posting.minor, posting.currency)} {posting.currency}"
            for posting in entry.postings
        ]
        if not entry.postings:
            # An entry that counts only what is too little to post.
            lines = [f"; {line.strip()}" for line in lines]
        return "\n".join(lines) + "\n\n"

    def _beancount(self, entry: EntryLine) -> str:
        opened = []
        for account in (_beancount_account(posting.account) for posting in entry.postings):
            if account not in self._opened:
                self._opened.add(account)
                opened.append(f"1970-01-01 open {account}\n")
        lines = [f'{entry.at:%Y-%m-%d} * "{entry.kind} {entry.seq}" "{_clean(entry.note)}"']
        lines += [f'  {name}: "{value}"' for name, value in _about(entry)]
        lines += [
            f"  {_beancount_account(posting.account)}  "
            f"{format_number(posting.minor, posting.currency)} {posting.currency}"
            for posting in entry.postings
        ]
        return "".join(opened) + "\n".join(lines) + "\n\n"


def report_csv(report: MonthReport) -> str:
    """The month for a spreadsheet: one table, each row says what it is."""
    rows: list[list[str]] = [
        ["what", "name", "currency", "amount", "limit", "reserved", "income", "expense", "usage", "roi_pct"]
    ]
    for line in report.budgets:
        limit, held, spent = (
            format_number(minor, line.currency)
            for minor in (line.limit_minor, line.held_minor, line.spent_minor)
        )
        rows.append(
            ["budget", line.category or "(overall)", line.currency, spent, limit, held, "", "", "", ""]
        )
    for account in report.accounts:
        amount = format_number(account.minor, account.currency)
        rows.append(["account", account.account, account.currency, amount, "", "", "", "", "", ""])
    for project in report.projects:
        margin, income, expense, usage = (
            format_number(minor, project.currency)
            for minor in (
                project.margin_minor, project.income_minor, project.expense_minor, project.usage_minor,
            )
        )  # fmt: skip
        roi = project.all_time.roi_pct
        shown = "" if roi is None else f"{roi:.1f}"
        rows.append(
            ["project", project.project, project.currency, margin, "", "", income, expense, usage, shown]
        )
    rows.append(["head", report.head, "", str(report.head_seq), "", "", "", "", "", ""])
    return _csv_lines(rows)


def _about(entry: EntryLine) -> list[tuple[str, str]]:
    """Names and cleaned values of what is known of the entry."""
    named = {
        "month": entry.month,
        "project": entry.project,
        "run": entry.run_id,
        "approval": entry.approval_id,
        "reference": entry.reference,
        "by": entry.by,
        "reverses": str(entry.reverses or ""),
        "hash": entry.hash,
    }
    # In hledger a comma ends a tag's value.
    return [(name, _clean(value).replace(",", " ")) for name, value in named.items() if value]


def _clean(text: str) -> str:
    return " ".join(_MEANINGFUL.sub(" ", text).split())


def _beancount_account(account: str) -> str:
    """``expenses:paid_ads`` -> ``Expenses:Paid-ads``; what is no root there is equity."""
    parts = [part[:1].upper() + part[1:].replace("_", "-") for part in account.split(":")]
    return ":".join(
        parts if parts[0] in ("Assets", "Liabilities", "Income", "Expenses") else ["Equity", *parts]
    )


def _csv_rows(entry: EntryLine) -> Iterable[list[str]]:
    for posting in entry.postings:
        yield [
            str(entry.seq), entry.at.isoformat(), entry.month, entry.kind, posting.account,
            format_number(posting.minor, posting.currency), posting.currency, entry.category, entry.project,
            entry.run_id, entry.approval_id, entry.reference, entry.by, entry.note, str(entry.reverses or ""),
            entry.hash,
        ]  # fmt: skip


def _csv_lines(rows: Iterable[list[str]]) -> str:
    """RFC 4180. A text that a spreadsheet would run as a formula is marked as text."""
    made = io.StringIO()
    csv.writer(made, lineterminator="\r\n").writerows([[_plain(cell) for cell in row] for row in rows])
    return made.getvalue()


def _plain(cell: str) -> str:
    """OWASP, "CSV Injection": cells that begin so are formulas to a spreadsheet, unless they are numbers."""
    if cell[:1] in ("=", "+", "@", "\t", "\r") or (cell[:1] == "-" and not re.fullmatch(r"-[\d.]+", cell)):
        return "'" + cell
    return cell
