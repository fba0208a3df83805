"""A client's brief: YAML bytes to a checked ``Brief``, or one paragraph that says what to correct."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from master.clients import values
from master.clients.hostile import find_hostile_character
from master.clients.yaml_tree import Path, Tree, read_tree
from tasks.client_brief import Brief, Contact, Hours, Page, Question
from tasks.errors import InvalidInput

#: What the file may say, by the place it may say it in.
_KEYS = {
    "": set(Brief.model_fields),
    "services": {"name", "description", "price", "price_note"},
    "contact": set(Contact.model_fields),
    "hours": set(Hours.model_fields),
    "questions": set(Question.model_fields),
}
_CHECKED: dict[tuple[str, ...], Callable[[str], Any]] = {
    ("name",): values.business_name,
    ("domain",): values.domain,
    ("contact", "email"): values.email,
    ("contact", "phone"): values.phone,
    ("hours", "days"): values.days,
    ("hours", "opens"): values.clock_time,
    ("hours", "closes"): values.clock_time,
}
_LISTS = ("services", "hours", "questions", "colors", "pages")
#: Paragraphs are kept in these; every other text is one line.
_LONG = {("description",), ("questions", "answer")}
_SHOWN = 3


def parse_brief(data: bytes, source: str = "brief.yaml") -> Brief:
    """Read and check a brief. ``source`` is the file's name, for messages.

    Raises ``InvalidInput``: each problem with its line, its key and the remedy.
    """
    tree = read_tree(data, source)
    if not isinstance(tree.value, dict):
        kind = "a list" if isinstance(tree.value, list) else "a single text"
        raise InvalidInput(
            f"{source}:1: a brief is keys and values (name: ..., city: ...), this is {kind}: "
            f"compare it with examples/brief.yaml"
        )
    problems = _Problems(tree)
    cleaned = _clean(tree.value, (), problems)
    if not problems.found:
        _convert_values(cleaned, problems)
    if not problems.found:
        try:
            return Brief.model_validate(cleaned)
        except ValidationError as error:
            for fault in error.errors():
                problems.add(
                    tuple(fault["loc"]), _explain(fault["type"], fault["msg"], fault.get("ctx") or {})
                )
    raise InvalidInput(problems.paragraph())


def brief_digest(brief: Brief) -> str:
    """SHA-256 (hex) of what the brief says, whatever the layout of its file."""
    return hashlib.sha256(brief.model_dump_json().encode("utf-8")).hexdigest()


class _Problems:
    """What is wrong, in the order of the file."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self.found: list[tuple[int, str]] = []

    def add(self, path: Path, text: str) -> None:
        line = self._tree.line_of(path)
        name = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
        self.found.append((line, f"{self._tree.source}:{line}: {name[:60]}: {text}"))

    def paragraph(self) -> str:
        texts = [text for _, text in sorted(self.found, key=lambda problem: problem[0])]
        more = f"; and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
        return "; ".join(texts[:_SHOWN]) + more + ". Nothing was added; examples/brief.yaml shows every key"


def _clean(value: Any, path: Path, problems: _Problems) -> Any:
    """Drop what was left empty, check characters and keys, and normalize white space."""
    place = tuple(part for part in path if isinstance(part, str))
    if isinstance(value, dict):
        known = _KEYS.get(".".join(place))
        for key in value:
            if known is not None and key not in known:
                problems.add((*path, key), _unknown(key, known))
        return {key: _clean(item, (*path, key), problems) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_clean(item, (*path, index), problems) for index, item in enumerate(value)]
    if not isinstance(value, str):
        quotes = " (a color goes between quotes: # begins a comment)" if place == ("colors",) else ""
        problems.add(path, f"is empty: write something or remove it{quotes}")
        return ""
    # Escapes such as "\u202e" are only seen now that YAML has been read.
    hostile = find_hostile_character(value)
    if hostile:
        problems.add(path, hostile.what)
    return value.strip() if place in _LONG else " ".join(value.split())


def _unknown(key: str, known: set[str]) -> str:
    close = difflib.get_close_matches(key.lower(), known, n=1, cutoff=0.6)
    hint = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(sorted(known))}"
    return f"no such key, {hint}"


def _convert_values(brief: dict[str, Any], problems: _Problems) -> None:
    """Turn what people write into what a ``Brief`` holds, in place."""
    for name in _LISTS:
        if name in brief and not isinstance(brief[name], list):
            problems.add((name,), f"is a list: begin each of the {name} with '- '")
            return
    for name in ("services", "hours", "questions"):
        for index, item in enumerate(brief.get(name, [])):
            if not isinstance(item, dict):
                problems.add((name, index), f"has its own keys: {', '.join(sorted(_KEYS[name]))}")
                return
    for place, convert in _CHECKED.items():
        for path, holder in _holders(brief, place):
            _convert_one(holder, place[-1], path, convert, problems)
    currency = str(brief.get("currency", "EUR"))
    for index, service in enumerate(brief.get("services", [])):
        _convert_one(
            service,
            "price",
            ("services", index, "price"),
            lambda text: values.price_minor(text, currency),
            problems,
        )
        if "price" in service:
            service["price_minor"] = service.pop("price")
    if "colors" in brief:
        colors = dict(enumerate(brief["colors"]))
        for index in colors:
            _convert_one(colors, index, ("colors", index), values.color, problems)
        brief["colors"] = list(colors.values())
    if "pages" in brief or brief.get("questions"):
        brief["pages"] = _pages(brief, problems)
    for name in ("language", "tone"):
        if isinstance(brief.get(name), str):
            brief[name] = brief[name].lower()


def _holders(brief: dict[str, Any], place: tuple[str, ...]) -> list[tuple[Path, dict[str, Any]]]:
    """Where in the brief the values of a place are held, with their full paths."""
    if len(place) == 1:
        return [(place, brief)]
    outer = brief.get(place[0])
    if isinstance(outer, dict):
        return [(place, outer)]
    if isinstance(outer, list):
        return [((place[0], index, place[1]), item) for index, item in enumerate(outer)]
    return []


def _convert_one(
    holder: dict[Any, Any], key: Any, path: Path, convert: Callable[[str], Any], problems: _Problems
) -> None:
    if key not in holder:
        return
    if not isinstance(holder[key], str):
        problems.add(path, "is one text")
        return
    try:
        holder[key] = convert(holder[key])
    except ValueError as error:
        problems.add(path, str(error))


def _pages(brief: dict[str, Any], problems: _Problems) -> list[str]:
    """The wanted pages in their usual order; home is always there, and questions bring their page."""
    wanted = brief.get("pages", [Page.HOME, Page.SERVICES, Page.ABOUT, Page.CONTACT])
    for index, name in enumerate(wanted):
        if name not in list(Page):
            problems.add(("pages", index), f"no such page, known: {', '.join(Page)}")
    if Page.FAQ in wanted and not brief.get("questions"):
        problems.add(("pages",), "'faq' needs questions: add them, or leave the page out")
    extra = [Page.FAQ] if brief.get("questions") and "pages" not in brief else []
    return [page for page in Page if page == Page.HOME or page in wanted or page in extra]


def _explain(kind: str, message: str, context: dict[str, Any]) -> str:
    """pydantic's fault in words for a person."""
    if kind == "missing":
        return "is missing: add it"
    if kind == "string_too_long":
        return f"is too long: {context['max_length']} characters at most"
    if kind == "string_too_short":
        return f"is too short: {context['min_length']} characters at least"
    if kind == "too_long":
        return f"has too many entries: {context['max_length']} at most"
    if kind == "too_short":
        return "needs at least one entry"
    if kind == "enum":
        return f"must be {context['expected']}"
    if kind in ("model_type", "model_attributes_type", "tuple_type", "string_type"):
        return "has the wrong form: compare it with examples/brief.yaml"
    return message[:1].lower() + message[1:]
