"""Every form carries its session's token, and no page of another leads anywhere else."""

from __future__ import annotations

import re

import pytest
from jinja2 import DictLoader, Environment

from master.api.auth import form_token
from master.web.agents import describe_agent
from master.web.csrf import FormTokens, hidden_field, hide_token, show_token
from master.web.forms import local_place
from master.web.pages import HERE

TEMPLATES = sorted((HERE / "templates").rglob("*.html"))


def rendered(source: str, token: str) -> str:
    environment = Environment(loader=DictLoader({"x": source}), extensions=[FormTokens], autoescape=True)
    environment.globals["csrf"] = hidden_field
    before = show_token(token)
    try:
        return environment.get_template("x").render(path='/a?b="')
    finally:
        hide_token(before)


def test_a_form_that_posts_carries_the_token_and_one_that_asks_does_not() -> None:
    field = '<input type="hidden" name="csrf" value="t0k&#34;">'
    assert rendered('<form method="post" action="{{ path }}"><p>', 't0k"') == (
        f'<form method="post" action="/a?b=&#34;">{field}<p>'
    )
    assert field not in rendered('<form method="get" action="/runs">', 't0k"')
    assert "csrf" not in rendered('<form method="post" action="/login">', "")


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_form_of_a_template_is_written_so_that_it_would_be_missed(path: object) -> None:
    text = path.read_text(encoding="utf-8")  # type: ignore[attr-defined]
    heads = re.findall(r"<form\b[^>]*>", text)
    posting = [head for head in heads if "post" in head.lower()]
    assert all('method="post"' in head for head in posting), posting
    # A '>' within an expression would end the head too early.
    assert all(head.count("{{") == head.count("}}") for head in heads), heads


def test_a_forms_token_is_of_its_session_and_does_not_give_it_away() -> None:
    assert form_token("d8s1") != form_token("d8s2")
    assert "d8s1" not in form_token("d8s1")


@pytest.mark.parametrize(
    ("asked", "place"),
    [
        ("/runs?state=done", "/runs?state=done"),
        ("//evil.example", "/"),
        ("https://evil.example", "/"),
        ("/\\evil.example", "/"),
        ("", "/"),
        ("/a\r\nSet-Cookie: x=y", "/"),
    ],
)
def test_the_way_back_is_a_page_of_ours(asked: str, place: str) -> None:
    assert local_place(asked) == place


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1",
            "Safari, iPhone",
        ),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge, Windows"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox, Linux"),
        ("curl/8.5.0", "curl/8.5.0"),
        ("", ""),
    ],
)
def test_a_browser_is_named_in_two_words(agent: str, words: str) -> None:
    assert describe_agent(agent) == words
