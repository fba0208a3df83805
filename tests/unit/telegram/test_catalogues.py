"""The gettext catalogues say everything that the code says."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import master.telegram.cards
import master.telegram.speech
import master.telegram.status
import master.telegram.texts
from master.locale import LANGUAGES, translations_for
from master.locale.catalogues import DOMAIN, FOLDER, parse_po
from tasks.errors import InvalidInput

_PLACEHOLDER = re.compile(r"{(\w*)}|</?(\w+)>")


def said_in_code() -> set[str]:
    """Message ids in the sources, as the catalogue names them."""
    said = set()
    spoken = (master.telegram.speech, master.telegram.cards, master.telegram.texts)
    sources = [Path(str(module.__file__)).read_text(encoding="utf-8") for module in spoken]
    for node in (node for source in sources for node in ast.walk(ast.parse(source))):
        if isinstance(node, ast.Call):
            given = [str(argument.value) for argument in node.args if isinstance(argument, ast.Constant)]
            if isinstance(node.func, ast.Name) and node.func.id == "_" and given:
                said.add(given[0])
            elif isinstance(node.func, ast.Attribute) and node.func.attr == "ngettext":
                said.add(f"{given[0]}\0{given[1]}")
    facts = ast.parse(Path(master.telegram.status.__file__).read_text(encoding="utf-8"))
    for node in ast.walk(facts):
        if isinstance(node, ast.Dict):
            said |= {str(key.value) for key in node.keys if isinstance(key, ast.Constant)}
    return said


def catalogue(language: str) -> dict[str, str]:
    path = FOLDER / language / "LC_MESSAGES" / f"{DOMAIN}.po"
    return parse_po(path.read_text(encoding="utf-8"), str(path))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_catalogue_has_every_message_and_no_other(language: str) -> None:
    said = said_in_code()
    assert len(said) > 40
    assert set(catalogue(language)) - {""} == said


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_keep_placeholders_and_marks(language: str) -> None:
    for message_id, translation in catalogue(language).items():
        if message_id:
            for original, form in zip(message_id.split("\0"), translation.split("\0"), strict=True):
                assert sorted(_PLACEHOLDER.findall(form)) == sorted(_PLACEHOLDER.findall(original)), (
                    message_id
                )


def test_the_english_catalogue_says_what_the_code_says() -> None:
    assert all(message_id in ("", said) for message_id, said in catalogue("en").items())


def test_spanish_differs_from_english() -> None:
    same = {message_id for message_id, said in catalogue("es").items() if said == message_id}
    assert same == set()


@pytest.mark.parametrize(
    ("tag", "word"),
    [
        ("es", "Pendiente"),
        ("es-MX", "Pendiente"),
        ("ES_ar", "Pendiente"),
        ("en-GB", "Waiting"),
        ("de", "Waiting"),
        ("", "Waiting"),
        ("../../etc", "Waiting"),
    ],
)
def test_a_language_tag_finds_its_catalogue(tag: str, word: str) -> None:
    assert translations_for(tag).gettext("Waiting") == word


def test_a_catalogue_is_read_with_comments_continued_lines_and_plurals() -> None:
    text = (
        '# note\nmsgid "a"\nmsgstr "one "\n"two \\"three\\"\\n"\n\n#, fuzzy\nmsgid "b"\nmsgstr "guess"\n\n'
        'msgid "c"\nmsgstr ""\n\nmsgid "d"\nmsgid_plural "ds"\nmsgstr[0] "e"\nmsgstr[1] "es"'
    )
    assert parse_po(text, "x.po") == {"a": 'one two "three"\n', "d\0ds": "e\0es"}


@pytest.mark.parametrize("line", ["msgid unquoted", 'msgctxt "menu"', '"open', "msgid 7", "msgid b'x'"])
def test_a_broken_catalogue_names_its_line(line: str) -> None:
    with pytest.raises(InvalidInput, match=r"es\.po:3: expected a line such as"):
        parse_po(f'msgid "a"\nmsgstr "b"\n{line}\n', "es.po")
