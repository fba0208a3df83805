"""What the owner reads."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from master.approvals import Approval, ApprovalState, ApprovalType, ExpectedReturn
from master.approvals.records import Vote
from master.ledger.money import format_money
from master.locale import LANGUAGES, translations_for
from master.telegram.cards import CAPTION, FULL, SHORT, Heading, is_cut
from master.telegram.markup import MAX_CALLBACK_ANSWER, MAX_CAPTION_UNITS, MAX_MESSAGE_UNITS, units
from master.telegram.spending import Spending
from master.telegram.texts import MOST_LISTED, Texts
from tests.asking import NOW, make_approval

BOTH = pytest.mark.parametrize("language", LANGUAGES)


def texts(language: str) -> Texts:
    return Texts(translations_for(language))


def plain(message: str) -> str:
    return html.unescape(re.sub(r"</?(b|code)>", "", message))


@pytest.mark.parametrize(
    ("minor", "currency", "shown"),
    [
        (1250, "EUR", "12.50 EUR"),
        (5, "EUR", "0.05 EUR"),
        (9990, "CLP", "9,990 CLP"),
        (1, "KWD", "0.001 KWD"),
        (-150, "USD", "-1.50 USD"),
        (0, "JPY", "0 JPY"),
    ],
)
def test_money_is_shown_in_the_units_of_its_currency(minor: int, currency: str, shown: str) -> None:
    assert format_money(minor, currency) == shown


long_text = st.text(st.characters(), min_size=0, max_size=5000)


@given(
    st.sampled_from(LANGUAGES),
    st.sampled_from(ApprovalState),
    st.sampled_from(ApprovalType),
    long_text,
    st.dictionaries(st.text(max_size=90), st.text(max_size=300), max_size=12),
)
def test_a_card_of_any_content_can_be_sent(
    language: str, state: ApprovalState, kind: ApprovalType, text: str, evidence: dict[str, str]
) -> None:
    approval = make_approval(
        type=kind, state=state, title=text, reason=text, tried=text, note=text, decided_by=text,
        evidence=evidence, decided_at=NOW, door="telegram",
    )  # fmt: skip
    for message in (
        texts(language).card(approval, FULL),
        texts(language).pending([approval] * 30),
        texts(language).ask_reason(approval),
        texts(language).decided(approval),
    ):
        message.encode("utf-8")
        assert "<" not in re.sub(r"</?(b|code)>", "", message)
        assert units(plain(message)) <= MAX_MESSAGE_UNITS


def widest(**given: Any) -> Approval:
    wide = "😀" * 5000
    pairs = {f"{number}{wide}": wide for number in range(20)}
    expected = ExpectedReturn(low_minor=10**15, expected_minor=10**15, high_minor=10**15, how=wide[:1000])
    votes = [Vote(by=wide, door=wide, at=NOW, note=wide)] * 10
    texts_ = "title reason tried note decided_by door run_id step_key executed_by reference replaced_by"
    numbers = {"revision": 99_999_999, "cost_minor": 10**15, "actual_minor": 10**15, "quorum": 10}
    values: dict[str, Any] = {
        **dict.fromkeys(texts_.split(), wide),
        **dict.fromkeys(("decided_at", "executed_at"), NOW),
        **dict.fromkeys(("evidence", "payload"), pairs),
        **numbers,
        "category": "c" * 40,
        "currency": "XYZ",
        "votes": votes,
        "expected": expected,
        "id": "w" * 32,
    }
    return make_approval(**{**values, **given})


@BOTH
@pytest.mark.parametrize("kind", ApprovalType)
def test_the_longest_card_and_list_fit_into_one_message(language: str, kind: ApprovalType) -> None:
    speaker = texts(language)
    for state in ApprovalState:
        approval = widest(type=kind, state=state, execute_by=NOW if state is ApprovalState.APPROVED else None)
        for heading in Heading:
            assert units(plain(speaker.card(approval, FULL, heading))) <= MAX_MESSAGE_UNITS
            assert units(plain(speaker.card(approval, SHORT, heading))) <= MAX_MESSAGE_UNITS
            assert units(plain(speaker.card(approval, CAPTION, heading))) <= MAX_CAPTION_UNITS
        for listing in (
            speaker.pending([approval] * (MOST_LISTED + 5), [approval] * 5),
            speaker.pending([], [approval] * (MOST_LISTED + 5)),
            speaker.digest([approval] * (MOST_LISTED + 5)),
        ):
            assert units(plain(listing)) <= MAX_MESSAGE_UNITS


@BOTH
def test_the_longest_report_fits_into_one_message(language: str) -> None:
    line = Spending(
        category="😀" * 99, currency="XYZ", spent_minor=10**15, held_minor=10**15, limit_minor=10**15
    )
    approval = widest(id="short")
    status = texts(language).status(
        [approval] * 99, {"Workers ready": 10**9}, paused=True, to_do=9, spending=[line] * 99
    )
    assert units(plain(status)) <= MAX_MESSAGE_UNITS
    assert units(plain(texts(language).spending("2026-11", [line] * 99))) <= MAX_MESSAGE_UNITS


def test_a_card_counts_the_yeses_and_names_who_said_them() -> None:
    vote = Vote(by="Ana (4711)", door="telegram", at=NOW, note="")
    card = texts("es").card(make_approval(quorum=2, votes=(vote,)), SHORT)
    assert "🗳 <b>1 de 2</b> dijeron que sí: Ana (4711)" in card
    assert "It takes 2 yeses" in texts("en").card(make_approval(quorum=2), SHORT)


def test_an_approved_payment_says_what_is_to_be_done_and_a_done_one_what_it_cost() -> None:
    given: dict[str, Any] = {"decided_at": NOW, "decided_by": "Ana", "door": "telegram"}
    to_do = make_approval(state=ApprovalState.APPROVED, execute_by=NOW + timedelta(days=30), **given)
    assert "<code>/hecho a7k2 costo referencia</code>, antes del 2026-03-31" in texts("es").card(to_do, SHORT)
    done = make_approval(
        state=ApprovalState.EXECUTED, executed_by="Bea", executed_at=NOW, actual_minor=1100,
        reference="F-7 <b>", **given,
    )  # fmt: skip
    card = texts("en").card(done, SHORT)
    assert "<b>Approved</b> by Ana via telegram" in card
    assert "<b>Done</b> by Bea, 2026-03-01 12:00 UTC, for 11.00 EUR" in card
    assert "Reference: F-7 &lt;b&gt;" in card


def test_an_expected_return_shows_its_range_and_how_it_was_found() -> None:
    expected = ExpectedReturn(low_minor=1000, expected_minor=2000, high_minor=9000, how="30 clicks x 0.5")
    card = texts("en").card(make_approval(expected=expected), SHORT)
    assert "<b>20.00 EUR</b>, between 10.00 EUR and 90.00 EUR: 30 clicks x 0.5" in card


def test_the_card_that_leaves_something_out_is_known() -> None:
    assert not is_cut(make_approval(evidence={"site": "ab" * 32, "score": "0.91"}))
    assert is_cut(make_approval(reason="x" * 801))
    assert is_cut(make_approval(evidence={"words": "x" * 91}))
    assert is_cut(make_approval(payload={str(number): "x" for number in range(5)}))


@BOTH
@pytest.mark.parametrize("state", ApprovalState)
def test_every_state_and_type_has_words(language: str, state: ApprovalState) -> None:
    for kind in ApprovalType:
        approval = make_approval(state=state, type=kind, decided_at=NOW, decided_by="Ana", door="cli")
        assert units(texts(language).decided_answer(approval)) <= MAX_CALLBACK_ANSWER
        assert "a7k2" in texts(language).card(approval, SHORT)


@BOTH
def test_answers_to_taps_fit(language: str) -> None:
    speaker = texts(language)
    for answer in (
        speaker.superseded_answer(),
        speaker.refused_answer(),
        speaker.failed_answer(),
        speaker.private_only(),
    ):
        assert 1 <= units(answer) <= MAX_CALLBACK_ANSWER


def test_a_pending_card_says_what_silence_means() -> None:
    assert "before 2026-03-08 12:00 UTC. No answer means no." in texts("en").card(make_approval(), SHORT)


def test_a_decided_card_says_who_what_when_and_why() -> None:
    approval = make_approval(
        state=ApprovalState.REJECTED, decided_at=NOW, decided_by="Ana (4711)", door="telegram", note="a < b"
    )
    card = texts("es").card(approval, SHORT)
    assert "<b>Rechazada</b> por Ana (4711) vía telegram, 2026-03-01 12:00 UTC" in card
    assert "Nota: a &lt; b" in card


def test_an_expired_card_blames_nobody() -> None:
    approval = make_approval(state=ApprovalState.EXPIRED, decided_at=NOW, decided_by="d8", door="clock")
    card = texts("en").card(approval, SHORT)
    assert "Expired: nobody answered in time" in card
    assert "d8" not in card


def test_a_superseded_card_shows_nothing_of_the_newer_request() -> None:
    card = texts("en").superseded_card(make_approval(title="changed title", cost_minor=999))
    assert "changed title" not in card
    assert "9.99" not in card


def test_details_show_evidence_and_shorten_digests() -> None:
    card = texts("en").card(make_approval(evidence={"site": "ab" * 32, "score": "0.91"}), FULL)
    assert "• site: artifact abababababab" in card
    assert "• score: 0.91" in card
    assert "• score" not in texts("en").card(make_approval(evidence={"score": "0.91"}), SHORT)


def test_a_list_counts_in_singular_and_plural_and_says_what_it_leaves_out() -> None:
    assert "1 solicitud te espera" in texts("es").pending([make_approval()])
    many = texts("es").pending([make_approval()] * (MOST_LISTED + 2))
    assert f"{MOST_LISTED + 2} solicitudes te esperan" in many
    assert "… y 2 más" in many


def test_status_tells_the_oldest_and_the_next_to_expire() -> None:
    pending = [make_approval(), make_approval(created_at=NOW - timedelta(days=1))]
    status = texts("en").status(pending, {"Workers ready": 2})
    assert "The oldest was asked at 2026-02-28 12:00 UTC." in status
    assert "The next one expires at 2026-03-08 12:00 UTC." in status
    assert "Workers ready: 2" in status
