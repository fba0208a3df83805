"""Buttons carry what we signed, or nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from master.telegram.callbacks import (
    MAX_CALLBACK_BYTES,
    Press,
    Verb,
    callback_key,
    decode_press,
    encode_press,
)
from tasks.errors import Refused

KEY = callback_key("4242:secret")

presses = st.builds(
    Press,
    verb=st.sampled_from(Verb),
    approval_id=st.from_regex(r"\A[A-Za-z0-9_-]{1,32}\Z"),
    revision=st.integers(0, 99_999_999),
)


@given(presses)
def test_every_press_fits_64_bytes_and_comes_back(press: Press) -> None:
    data = encode_press(press, KEY)
    assert 1 <= len(data.encode()) <= MAX_CALLBACK_BYTES
    assert decode_press(data, KEY) == press


@given(presses, st.integers(0), st.characters())
def test_changing_any_character_is_refused(press: Press, place: int, character: str) -> None:
    data = encode_press(press, KEY)
    place %= len(data)
    changed = data[:place] + character + data[place + 1 :]
    if changed != data:
        with pytest.raises(Refused):
            decode_press(changed, KEY)


@given(st.text())
def test_any_other_text_is_refused(data: str) -> None:
    with pytest.raises(Refused):
        decode_press(data, KEY)


@given(presses)
def test_the_signature_of_another_bot_is_refused(press: Press) -> None:
    with pytest.raises(Refused):
        decode_press(encode_press(press, callback_key("4242:other")), KEY)


def test_a_signed_form_that_this_build_does_not_know_is_refused() -> None:
    unknown = Press.model_construct(verb=Verb.DETAILS, approval_id="a7k2", revision=-1)
    with pytest.raises(Refused, match="does not know"):
        decode_press(encode_press(unknown, KEY), KEY)
    with pytest.raises(Refused, match="does not know"):
        decode_press(encode_press(unknown.model_copy(update={"approval_id": "a:b"}), KEY), KEY)
