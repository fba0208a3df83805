"""What is written, drawn, rendered and checked on the workers."""

from __future__ import annotations

import html
import random
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import client_build, client_draw, client_examine
from tasks.client_brief import Brief, Contact, Hours, Language, Page, Service
from tasks.client_look import Action, Artwork, Look, Motif, Section, Shape, Typeface
from tasks.client_review import CheckName
from tasks.client_write import SlotName
from tasks.errors import PermanentFailure
from tests.unit.clients.fakes import FakeContext, FakeModels
from worker.handlers import client_build as builder
from worker.handlers import client_draw as designer
from worker.handlers import client_examine as analyst
from worker.handlers.client_site.archive import unpack
from worker.handlers.client_site.audit import review
from worker.handlers.client_site.colors import contrast, dark_scheme, light_scheme
from worker.handlers.client_site.drawing import initials
from worker.handlers.client_site.facts import known_facts
from worker.handlers.client_site.formats import price, timetable
from worker.handlers.client_site.shorten import shorten
from worker.handlers.client_site.writing import refusal

LOOK = Look(
    palette="terracotta", accent="#b4532a", neutral="#c9a27a", typeface=Typeface.CLASSIC, shape=Shape.SOFT,
    motif=Motif.GRAIN,
)  # fmt: skip
TEXTS = {name.value: "Te contamos cómo trabajamos y te esperamos." for name in SlotName}
EVIL = "\"><script>alert(1)</script><img src=x onerror=alert(1)>{{ 1234*1111 }}'`"


def build(brief: Brief, look: Look = LOOK, texts: dict[str, str] | None = None) -> dict[str, bytes]:
    artifacts: dict[str, bytes] = {}
    context = FakeContext(FakeModels(), artifacts)
    drawn = designer.handle(client_draw.Request(name=brief.name, look=look, seed=3), context)
    built = builder.handle(
        client_build.Request(
            brief=brief, look=look, artwork=drawn.artwork, sections=tuple(Section), action=Action.SERVICES,
            texts={**TEXTS, **(texts or {})},
        ),
        context,
    )  # fmt: skip
    return unpack(artifacts[built.site_sha256])


def failures(files: dict[str, bytes], brief: Brief) -> dict[CheckName, str]:
    return {check.name: check.detail for check in review(files, brief) if not check.passed}


def test_the_examples_sites_pass_every_check(any_brief: Brief) -> None:
    assert failures(build(any_brief), any_brief) == {}


def test_a_site_has_its_pages_and_the_same_request_gives_the_same_bytes(brief: Brief) -> None:
    files = build(brief)
    assert {"index.html", "servicios.html", "nosotros.html", "contacto.html", "preguntas.html", "404.html",
            "robots.txt", "sitemap.xml", "style.css", "img/hero.svg"} <= files.keys()  # fmt: skip
    assert files == build(brief)
    assert files["sitemap.xml"].count(b"<loc>") == 5


def test_a_brief_without_a_domain_gets_no_made_up_addresses(brief: Brief) -> None:
    files = build(brief.model_copy(update={"domain": ""}))
    assert "sitemap.xml" not in files
    assert b"canonical" not in files["index.html"]


@pytest.mark.parametrize("field", ["description", "slogan", "sector", "city", "name"])
def test_markup_in_a_brief_is_shown_and_never_obeyed(brief: Brief, field: str) -> None:
    evil = brief.model_copy(update={field: (EVIL + " Un texto largo")[:80]})
    files = build(evil, texts={"hero.headline": evil.slogan} if field == "slogan" else {})
    found = failures(files, evil)
    # The pages stay well formed and without code of their own.
    assert not found.keys() & {CheckName.WELL_FORMED, CheckName.POLICY, CheckName.NO_EXTERNAL}
    page = files["index.html"].decode() + files["nosotros.html"].decode()
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "1370974" not in page
    assert html.escape("<script>alert(1)", quote=False) in page or "\\u003cscript\\u003e" in page


def test_a_text_that_is_missing_is_named(brief: Brief) -> None:
    request = client_build.Request(
        brief=brief, look=LOOK, artwork=Artwork(logo_sha256="a", hero_sha256="b", favicon_sha256="c"),
        sections=(Section.ABOUT,), action=Action.CALL, texts={"hero.headline": "Hola"},
    )  # fmt: skip
    with pytest.raises(PermanentFailure, match="a text is missing"):
        builder.handle(request, FakeContext(FakeModels(), {}))


SPOILED = [
    (CheckName.WELL_FORMED, b"</main>", b""),
    (CheckName.ONE_H1, b"</h1>", b"</h1><h1>More</h1>"),
    (CheckName.UNIQUE_IDS, b'<main id="main">', b'<main id="main"><p id="main">x</p>'),
    (CheckName.INTERNAL_LINKS, b'href="servicios.html"', b'href="precios.html"'),
    (CheckName.INTERNAL_LINKS, b'href="#main"', b'href="#top"'),
    (CheckName.NO_EXTERNAL, b'href="style.css"', b'href="https://cdn.example/style.css"'),
    (CheckName.NO_EXTERNAL, b'src="img/logo.svg"', b'src="//cdn.example/logo.svg"'),
    (CheckName.TITLES, b"<title>", b"<title>" + b"Panader\xc3\xada " * 8),
    (CheckName.DESCRIPTIONS, b'<meta name="description" content="', b'<meta name="d" content="'),
    (CheckName.POLICY, b"default-src 'none'", b"default-src *"),
    (CheckName.POLICY, b"<h1>", b"<h1 onclick=\"x()\">"),
    (CheckName.POLICY, b"</body>", b"<script>x()</script></body>"),
    (CheckName.LANGUAGE, b'<html lang="es">', b'<html lang="en">'),
    (CheckName.LANDMARKS, b"<footer", b"<div"),
    (CheckName.ALTERNATIVES, b'alt=""', b""),
    (CheckName.WEIGHT, b"</main>", b"<p>" + b"Pan de masa madre. " * 9000 + b"</p></main>"),
    (CheckName.NUMBERS, b"</main>", b"<p>Desde hace 150 a\xc3\xb1os.</p></main>"),
    (CheckName.NUMBERS, b"4,80", b"3,80"),
    (CheckName.NUMBERS, b'"price": "4.80"', b'"price": "3.80"'),
    (CheckName.CONTACTS, b"mailto:hola@laespiga.example", b"mailto:otro@laespiga.example"),
    (CheckName.CONTACTS, b"tel:+34976000127", b"tel:+34976000128"),
    (CheckName.NAMES, b"</main>", b"<p>El pan que prefiere Madrid.</p></main>"),
    (CheckName.SUPERLATIVES, b"</main>", b"<p>La mejor masa de todas.</p></main>"),
    (CheckName.PLACEHOLDERS, b"</main>", b"<p>Lorem ipsum dolor.</p></main>"),
    (CheckName.PLACEHOLDERS, b"</main>", b"<p> </p></main>"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "old", "new"), SPOILED)
def test_each_check_finds_what_it_is_there_for(brief: Brief, name: CheckName, old: bytes, new: bytes) -> None:
    files = build(brief)
    assert old in files["index.html"]
    files["index.html"] = files["index.html"].replace(old, new)
    assert name in failures(files, brief)


def test_a_missing_service_and_a_missing_price_are_found(brief: Brief) -> None:
    files = build(brief)
    spoiled = files["servicios.html"].replace("Barra rústica".encode(), b"Barra").replace(b"5,20", b"")
    detail = failures({**files, "servicios.html": spoiled}, brief)[CheckName.SERVICES]
    assert "Barra rústica" in detail
    assert "Pan de centeno integral" in detail


def test_colors_that_cannot_be_read_are_found(brief: Brief) -> None:
    files = build(brief)
    files["style.css"] = files["style.css"].replace(b"--muted: #", b"--muted: #f0f0f0; --old: #")
    assert "muted on background" in failures(files, brief)[CheckName.CONTRAST]


@given(st.integers(0, 0xFFFFFF), st.integers(0, 0xFFFFFF))
def test_any_two_brand_colors_give_palettes_that_can_be_read(accent: int, neutral: int) -> None:
    for scheme in (
        light_scheme(f"#{accent:06x}", f"#{neutral:06x}"),
        dark_scheme(f"#{accent:06x}", f"#{neutral:06x}"),
    ):
        for text in (scheme.text, scheme.muted, scheme.accent):
            assert contrast(text, scheme.background) >= 4.5
            assert contrast(text, scheme.surface) >= 4.5
        assert contrast(scheme.on_accent, scheme.accent) >= 4.5


def test_contrast_is_the_standards() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("motif", list(Motif))
def test_every_motif_is_a_well_formed_drawing_without_references(brief: Brief, motif: Motif) -> None:
    files = build(brief, LOOK.model_copy(update={"motif": motif, "shape": Shape.CRISP}))
    for path in ("img/logo.svg", "img/hero.svg", "img/favicon.svg"):
        root = ET.fromstring(files[path])
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert b"href" not in files[path]
    assert CheckName.NO_EXTERNAL not in failures(files, brief)


@given(st.text(min_size=1, max_size=40).filter(lambda name: any(c.isalnum() for c in name)))
def test_initials_are_one_or_two_characters_of_the_name(name: str) -> None:
    assert initials(name)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("En La Espiga amasamos cada noche con harinas de trigo y centeno.", ""),
        ("Te esperamos en Las Fuentes con pan de masa madre.", ""),
        ("Amasamos pan desde 1950 con harinas de trigo.", "number '1950'"),
        ("Escríbenos a info@otra.example y te contamos.", "'info@otra.example'"),
        ("Amasamos el pan que se come en Madrid.", "name 'Madrid'"),
        ("Amasamos la mejor masa madre con trigo.", "claim 'la mejor'"),
        ("Amasamos pan sin gluten con harinas de trigo.", "the word 'gluten'"),
        ("Vendemos vino con pan de trigo y centeno.", "the word"),
        ("Pan, trigo, centeno, masa, madre, obrador, mostrador.", "reads like a list"),
        ("En la masa la masa la masa la masa en la masa.", "repeats itself"),
        ("Business: Panadería La Espiga, en Zaragoza.", "markup or a colon"),
        ("En La Espiga <b>amasamos</b> con trigo.", "markup"),
        ("En La Espiga amasamos con harinas de trigo", "does not end like a sentence"),
        ("Pan.", "characters"),
        ("Welcome to our bakery, we love to see you here.", "reads like a list"),
    ],
)  # fmt: skip
def test_a_generated_text_may_only_say_what_the_brief_says(brief: Brief, text: str, reason: str) -> None:
    found = refusal(text, brief, known_facts(brief), 240)
    assert reason in found
    assert bool(reason) is bool(found)


def test_the_clients_own_superlatives_and_numbers_may_be_used(brief: Brief) -> None:
    boasting = brief.model_copy(update={"description": brief.description + " La mejor masa desde 1871."})
    text = "En La Espiga amasamos la mejor masa desde 1871."
    assert refusal(text, boasting, known_facts(boasting), 240) == ""
    assert refusal(text, brief, known_facts(brief), 240) != ""


def test_the_analyst_lists_facts_gaps_and_contradictions(brief: Brief) -> None:
    context = FakeContext(FakeModels(), {})
    whole = analyst.handle(client_examine.Request(brief=brief), context)
    assert "2009" in whole.facts.numbers
    assert whole.facts.emails == ("hola@laespiga.example",)
    assert "4,80\N{NO-BREAK SPACE}€" in whole.facts.prices
    assert whole.conflicts == ()
    bare = brief.model_copy(update={
        "contact": Contact(phone="+34 976 000 127"), "hours": (), "city": "Huesca",
        "description": "Llama al 611 222 333 y encarga tu pan de masa madre.",
    })  # fmt: skip
    found = analyst.handle(client_examine.Request(brief=bare), context)
    assert {gap.key for gap in found.gaps} >= {"contact.email", "contact.address", "hours"}
    assert {conflict.key for conflict in found.conflicts} == {"contact.phone", "city"}


def test_prices_and_hours_read_as_in_each_language(brief: Brief) -> None:
    assert price(123456, "EUR", Language.SPANISH) == "1.234,56\N{NO-BREAK SPACE}€"
    assert price(123456, "EUR", Language.ENGLISH) == "€1,234.56"
    assert price(1200, "GBP", Language.ENGLISH) == "£12"
    assert price(12500, "CLP", Language.SPANISH) == "12.500\N{NO-BREAK SPACE}CLP$"
    assert timetable(brief) == [
        ("Lunes a viernes", "07:30\N{EN DASH}14:30, 17:00\N{EN DASH}20:30"),
        ("Sábado", "08:00\N{EN DASH}14:30"),
    ]
    split = brief.model_copy(update={"hours": (Hours(days=("mon", "wed"), opens="09:00", closes="13:00"),)})
    assert [days for days, _ in timetable(split)] == ["Lunes", "Miércoles"]


@given(st.text(max_size=400), st.integers(20, 200))
def test_a_shortened_text_keeps_to_its_limit(text: str, limit: int) -> None:
    assert len(shorten(text, limit)) <= limit


def test_a_long_brief_still_makes_a_site_that_passes() -> None:
    rng = random.Random(7)
    words = "pan trigo centeno masa horno harina molino corteza miga levadura".split()

    def say(count: int) -> str:
        return " ".join(rng.choice(words) for _ in range(count)).capitalize()

    services = tuple(
        Service(name=f"{say(5)} {n}", description=say(40)[:400], price_minor=n * 105) for n in range(24)
    )
    brief = Brief(
        name="Horno " + "de la plaza " * 6,
        sector="panadería y obrador con despacho propio",
        city="Villanueva",
        language=Language.SPANISH,
        description=". ".join(say(14) for _ in range(20)) + ".",
        services=services,
        pages=(Page.HOME, Page.SERVICES),
    )
    texts = {"contact.heading": "Hablemos"}
    assert failures(build(brief, texts=texts), brief) == {}
