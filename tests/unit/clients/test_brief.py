"""The brief: what people write is understood, what is hostile or wrong gets one clear paragraph."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from master.clients.brief import brief_digest, parse_brief
from master.clients.values import clock_time, days, price_minor
from master.clients.yaml_tree import MAX_BYTES
from tasks.client_brief import Brief, Day, Page
from tasks.errors import InvalidInput

MINIMAL = {
    "name": "Bar Sol",
    "sector": "bar de tapas",
    "city": "Soria",
    "language": "es",
    "description": "Tapas y raciones junto a la plaza.",
    "services": [{"name": "Tapas"}],
}


def as_yaml(**changes: object) -> bytes:
    return yaml.safe_dump({**MINIMAL, **changes}, allow_unicode=True).encode()


def refusal(data: bytes) -> str:
    with pytest.raises(InvalidInput) as caught:
        parse_brief(data, "brief.yaml")
    text = str(caught.value)
    assert "brief.yaml" in text
    assert "\n" not in text
    return text


def understood_or_refused(data: bytes) -> None:
    """Anything but ``InvalidInput`` would be a traceback for a user's mistake."""
    refused = ""
    try:
        parse_brief(data)
    except InvalidInput as error:
        refused = str(error)
    assert not refused or "brief.yaml" in refused


def test_the_examples_are_in_order(any_brief: Brief) -> None:
    assert any_brief.services
    assert any_brief.hours
    assert Page.HOME in any_brief.pages


def test_a_minimal_brief_is_enough() -> None:
    assert parse_brief(as_yaml()).pages == (Page.HOME, Page.SERVICES, Page.ABOUT, Page.CONTACT)


def test_unquoted_times_are_times_and_not_yamls_sexagesimal_numbers() -> None:
    text = as_yaml() + b"hours:\n  - days: lunes a viernes\n    opens: 9:30\n    closes: 20:30\n"
    (hours,) = parse_brief(text).hours
    assert (hours.opens, hours.closes, len(hours.days)) == ("09:30", "20:30", 5)


def test_the_digest_is_of_what_the_brief_says_and_not_of_its_layout() -> None:
    reordered = yaml.safe_dump(dict(reversed(MINIMAL.items())), allow_unicode=True).encode()
    assert brief_digest(parse_brief(as_yaml())) == brief_digest(parse_brief(b"# hi\n" + reordered))
    assert brief_digest(parse_brief(as_yaml())) != brief_digest(parse_brief(as_yaml(city="Lugo")))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "is empty"),
        (b"# only a comment\n", "is empty"),
        (b"- a\n- b\n", "this is a list"),
        (b"just words", "a single text"),
        (b"x" * (MAX_BYTES + 1), "at most"),
        ("name: Caf\u00e9".encode("latin-1"), "save the file as UTF-8"),
        ("name: Bar".encode("utf-16"), "UTF-16"),
        (b"name: a\nname: b\n", "brief.yaml:2: the key 'name' is there twice"),
        (b"a: &x [1, 2]\nb: [*x, *x]\n", "anchors"),
        (b"name: !!python/object/apply:os.system [ls]\n", "the tag"),
        (b"a: 1\n---\nb: 2\n", "a second document"),
        (b"[" * 5000, "levels deep"),
        (b"? [a]\n: b\n", "a key must be one word"),
        (b"name: a\n bad: [\n", "this is not YAML"),
        (b"name: Bar\x07\n", "U+0007"),
        ("city: a\nname: Bar \u202egnp.exe\n".encode(), "brief.yaml:2: the invisible character U+202E"),
        (as_yaml(name="x") + b'slogan: "a\\u202eb"\n', "slogan: the invisible character U+202E"),
        (as_yaml(name="../../x"), "name: '../../x' looks like markup or a path"),
        (as_yaml(name="<script>alert(1)</script>"), "looks like markup"),
        (as_yaml(name="/etc/passwd"), "looks like markup or a path"),
        (as_yaml(name="!!!"), "no letter or digit"),
        (as_yaml(name="x" * 81), "name: is too long: 80 characters"),
        (as_yaml(sektor="x"), "sektor: no such key, did you mean 'sector'?"),
        (as_yaml(services=[{"name": "A", "prize": "3"}]), "services[1].prize: no such key, did you mean"),
        (as_yaml(services=[]), "services: needs at least one entry"),
        (as_yaml(services="tapas"), "services: is a list"),
        (as_yaml(services=[{"name": "A", "price": "cheap"}]), "'cheap' is not a price"),
        (as_yaml(language="klingon"), "language: must be 'es' or 'en'"),
        (as_yaml(contact={"email": "not an address"}), "contact.email: 'not an address' is not an e-mail"),
        (as_yaml(contact={"phone": "call me"}), "contact.phone: 'call me' is not a phone"),
        (as_yaml(hours=[{"days": "someday", "opens": "9", "closes": "25:00"}]), "'someday' is not a day"),
        (as_yaml(domain="javascript:alert(1)"), "is not a domain"),
        (as_yaml() + b"colors: [#aa3333]\n", "brief.yaml"),
        (as_yaml(pages=["home", "blog"]), "pages[2]: no such page"),
        (as_yaml(pages=["faq"]), "'faq' needs questions"),
        (as_yaml(colors=["reddish"]), "is not a color"),
        (as_yaml(currency="euros"), "currency: "),
    ],
)  # fmt: skip
def test_a_bad_brief_is_refused_with_its_place_and_remedy(data: bytes, expected: str) -> None:
    assert expected in refusal(data)


def test_several_problems_are_told_in_the_order_of_the_file() -> None:
    text = refusal(b"name: Bar\nsektor: a\ncitty: b\nlangage: c\n")
    assert text.index("sektor") < text.index("citty") < text.index("langage")


def test_html_in_a_text_is_not_an_error() -> None:
    assert "<b>" in parse_brief(as_yaml(description="Tapas <b>buenas</b> junto a la plaza.")).description


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_a_brief_or_one_clear_paragraph(data: bytes) -> None:
    understood_or_refused(data)


_VALUES = st.recursive(
    st.none() | st.text(max_size=30) | st.integers() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(Brief.model_fields)), _VALUES)
def test_any_value_under_any_key_is_understood_or_refused(key: str, value: object) -> None:
    data = yaml.safe_dump({**MINIMAL, key: value}, allow_unicode=False).encode()
    understood_or_refused(data)


@pytest.mark.parametrize(
    ("text", "minor"),
    [("3,20", 320), ("3.20 €", 320), ("€3.2", 320), ("14", 1400), ("1.250", 125000), ("1,250 EUR", 125000)],
)
def test_prices_are_read_as_people_write_them(text: str, minor: int) -> None:
    assert price_minor(text, "EUR") == minor


def test_a_currency_without_cents_has_none() -> None:
    assert price_minor("12.500", "CLP") == 12500
    with pytest.raises(ValueError, match="no cents"):
        price_minor("12,50", "CLP")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mon-fri", ["mon", "tue", "wed", "thu", "fri"]),
        ("sábado y domingo", ["sat", "sun"]),
        ("viernes a lunes", ["mon", "fri", "sat", "sun"]),
        ("daily", [day.value for day in Day]),
        ("tue, thu", ["tue", "thu"]),
    ],
)
def test_days_are_read_in_both_languages(text: str, expected: list[str]) -> None:
    assert [day.value for day in days(text)] == expected


@pytest.mark.parametrize("text", ["24:00", "9:75", "noon", "-1"])
def test_a_time_that_no_clock_shows_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        clock_time(text)
