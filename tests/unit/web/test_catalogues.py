"""The dashboard's catalogues say everything that its pages say."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest
from jinja2 import Environment
from jinja2.ext import extract_from_ast

import master.web
from master.locale import LANGUAGES, choose_language
from master.locale.catalogues import read_catalogue, read_parts
from master.web.pages import HERE, Pages
from master.web.routes import SECTIONS

_PLACEHOLDER = re.compile(r"%\((\w+)\)[sd]|</?(\w+)")
#: What marks a message in Python code: a translation's own functions, and ``N_`` for one translated later.
_MARKS = ("_", "N_", "gettext", "ngettext")


def said_in_templates() -> set[str]:
    environment = Environment(extensions=["jinja2.ext.i18n"], trim_blocks=True, lstrip_blocks=True)
    said = set()
    for path in sorted((HERE / "templates").rglob("*.html")):
        parsed = environment.parse(path.read_text(encoding="utf-8"))
        for _, _, message in extract_from_ast(parsed, babel_style=False):
            # A call of a variable says nothing by itself: what it may hold is marked where it is written.
            parts = (message,) if isinstance(message, str) else message or ()
            texts = [part for part in parts if part]
            if texts:
                said.add("\0".join(texts))
    return said


def said_in_code() -> set[str]:
    said = {section.name for section in SECTIONS}
    for path in Path(str(master.web.__file__)).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                given = [each.value for each in node.args if isinstance(each, ast.Constant)]
                texts = [each for each in given if isinstance(each, str)]
                if name in _MARKS and texts:
                    said.add("\0".join(texts))
    return said


@pytest.mark.parametrize("language", [each for each in LANGUAGES if each != "en"])
def test_a_catalogue_has_every_message_of_the_pages_and_no_other(language: str) -> None:
    said = said_in_templates() | said_in_code()
    known = set(read_catalogue(language, "web")) - {""}
    assert said - known == set(), "say these in the page's catalogue"
    assert known - said == set(), "no page says these any more"


@pytest.mark.parametrize("language", [each for each in LANGUAGES if each != "en"])
def test_a_message_stands_in_one_part(language: str) -> None:
    # The empty message is the head, which each has.
    counted = Counter(key for part in read_parts(language, "web").values() for key in part if key)
    assert {key: count for key, count in counted.items() if count > 1} == {}


@pytest.mark.parametrize("language", [each for each in LANGUAGES if each != "en"])
def test_translations_keep_placeholders_and_marks(language: str) -> None:
    for message, translation in read_catalogue(language, "web").items():
        if message:
            for original, form in zip(message.split("\0"), translation.split("\0"), strict=True):
                assert sorted(_PLACEHOLDER.findall(form)) == sorted(_PLACEHOLDER.findall(original)), message


@pytest.mark.parametrize(
    ("wishes", "chosen"),
    [
        (("", "es-MX,es;q=0.9,en;q=0.8"), "es"),
        (("", "fr,en;q=0.7,es;q=0.9"), "es"),
        (("en", "es"), "en"),
        (("", ""), "en"),
        (("../../etc", "q;q=q"), "en"),
    ],
)
def test_a_page_speaks_the_chosen_language_or_else_the_browsers(wishes: tuple[str, ...], chosen: str) -> None:
    assert choose_language(*wishes) == chosen


def test_a_page_is_rendered_in_its_language() -> None:
    pages = Pages(menu=[("/", "Home")])
    shown = bytes(pages.render("error.html", {"status_code": 404, "error": "<gone>"}, language="es").body)
    assert b'<html lang="es">' in shown
    assert b"Saltar al contenido" in shown
    assert b"&lt;gone&gt;" in shown
