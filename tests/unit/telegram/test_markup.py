"""Foreign text in our messages."""

from __future__ import annotations

import html

from hypothesis import given
from hypothesis import strategies as st

from master.telegram.markup import clean, clip, fit, fit_line, units

any_text = st.text(st.characters())  # lone surrogates, too


@given(any_text, st.integers(1, 50))
def test_a_fitted_text_is_short_escaped_and_can_be_sent(text: str, limit: int) -> None:
    fitted = fit(text, limit)
    fitted.encode("utf-8")
    assert "<" not in fitted
    assert units(html.unescape(fitted)) <= limit


@given(any_text)
def test_what_is_not_cut_keeps_its_meaning(text: str) -> None:
    assert html.unescape(fit(text, 10_000)) == clean(text).strip()


def test_text_is_cut_between_characters_and_says_so() -> None:
    assert clip("abcdef", 4) == "abc…"
    assert clip("a😀😀", 3) == "a…"
    assert clip("😀😀", 4) == "😀😀"


def test_length_counts_emoji_twice_as_telegram_does() -> None:
    assert units("a😀é") == 4


def test_direction_overrides_and_control_characters_are_taken_out() -> None:
    assert clean("pay \u202e00.01\u202c EUR\x00\x1b\x9b\u2066x") == "pay 00.01 EURx"
    assert clean("two\nlines\tand a tab, שלום, 👩‍🍳") == "two\nlines and a tab, שלום, 👩‍🍳"


def test_what_telegram_would_take_out_by_itself_keeps_its_meaning() -> None:
    assert clean("A\u030angstrom") == "Ångstrom"
    assert clean("one\u2028two\r\nthree\rfour") == "one\ntwo\nthree\nfour"
    assert clean("a\u0333b\u033fc\u030a") == "abc"


def test_markup_of_others_is_only_text() -> None:
    assert fit("<b>&amp; bold</b>", 99) == "&lt;b&gt;&amp;amp; bold&lt;/b&gt;"


def test_a_line_stays_one_line() -> None:
    assert fit_line(" two\n lines\t", 99) == "two lines"
