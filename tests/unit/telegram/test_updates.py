"""What Telegram sends, and what we read of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from master.telegram.updates import Sender, Tap, TextMessage, find_incoming, find_sender
from tasks.errors import InvalidInput

ANA = {"id": 4711, "is_bot": False, "first_name": "Ana\u202e\n López", "language_code": "es", "new": 1}
PRIVATE = {"id": 4711, "type": "private"}


def message(**given: Any) -> dict[str, Any]:
    return {
        "update_id": 7,
        "message": {"message_id": 3, "date": 1, "chat": PRIVATE, "from": ANA, "text": "hola", **given},
    }


def test_a_text_message_is_read() -> None:
    assert find_incoming(message(reply_to_message={"message_id": 2, "chat": PRIVATE})) == TextMessage(
        update_id=7,
        sender=Sender(user_id=4711, name="Ana López", language="es"),
        chat_id=4711,
        private=True,
        message_id=3,
        text="hola",
        reply_to=2,
    )


def test_a_tap_is_read_even_on_a_message_that_telegram_no_longer_shows() -> None:
    query = {"id": "9", "from": ANA, "data": "a:x", "message": {"message_id": 3, "date": 0, "chat": PRIVATE}}
    tap = find_incoming({"update_id": 8, "callback_query": query})
    assert isinstance(tap, Tap)
    assert (tap.query_id, tap.data, tap.message_id, tap.private) == ("9", "a:x", 3, True)


@pytest.mark.parametrize(
    "raw",
    [
        message(text=""),
        message(text=" \u202e\x00"),
        {"update_id": 7, "message": {"message_id": 3, "chat": PRIVATE, "sticker": {}}},
        {"update_id": 7, "channel_post": {}},
        {"update_id": 7, "callback_query": {"id": "9", "from": ANA, "inline_message_id": "x"}},
    ],
)
def test_what_we_do_not_act_on_is_left(raw: dict[str, Any]) -> None:
    assert find_incoming(raw) is None


def test_groups_are_not_private() -> None:
    incoming = find_incoming(message(chat={"id": -5, "type": "supergroup"}))
    assert incoming is not None
    assert not incoming.private


def test_something_else_than_an_update_is_named_with_its_place() -> None:
    with pytest.raises(InvalidInput, match=r"at message\.chat\.id: .*D8_TELEGRAM_API_URL"):
        find_incoming(message(chat={"id": "four"}))


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.fixed_dictionaries({}, optional={"message": json, "callback_query": json}))
def test_finding_the_sender_never_fails(raw: dict[str, Any]) -> None:
    assert find_sender(raw) is None


def test_the_sender_is_found_in_messages_and_taps() -> None:
    assert find_sender(message()) == 4711
    assert find_sender({"update_id": 1, "callback_query": {"from": ANA}}) == 4711
    assert find_sender({"update_id": 1, "message": {"from": {"id": "x"}}}) is None
