"""One HTML page as the reviewer sees it."""

from __future__ import annotations

from collections.abc import Sequence
from html.parser import HTMLParser

_VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())
#: A sentence does not go on across these.
_BLOCKS = frozenset(
    "p li h1 h2 h3 h4 dt dd th td caption summary title blockquote a span div strong script".split()
)


class HtmlPage(HTMLParser):
    """Parses strictly: every element that is opened must be closed, in order."""

    def __init__(self, path: str, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.path = path
        self.source = source
        self.faults: list[str] = []
        self.language = ""
        self.title = ""
        self.metas: dict[str, str] = {}
        self.headings: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        #: (element, attribute, value) of everything that points somewhere.
        self.references: list[tuple[str, str, str]] = []
        self.images_without_alt: list[str] = []
        self.texts: list[str] = []
        self.data_blocks: list[str] = []
        self.inline_code: list[str] = []
        self._open: list[str] = []
        self._doctype = False
        self._data = False
        self.feed(source)
        self.close()
        self.faults += [f"<{tag}> is never closed" for tag in self._open]
        if not self._doctype:
            self.faults.append("no doctype")

    def handle_decl(self, declaration: str) -> None:
        self._doctype = declaration.lower() == "doctype html"

    def handle_starttag(self, tag: str, attributes: Sequence[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        if len(values) != len(attributes):
            self.faults.append(f"<{tag}> has an attribute twice")
        self.tags.append(tag)
        if tag not in _VOID:
            self._open.append(tag)
        if tag in _BLOCKS:
            self.texts.append("\n")
        if tag == "html":
            self.language = values.get("lang", "")
        if tag == "meta":
            name = values.get("name") or values.get("property") or values.get("http-equiv", "").lower()
            self.metas[name] = values.get("content", "")
        if tag == "h1":
            self.headings.append("")
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "img" and "alt" not in values:
            self.images_without_alt.append(values.get("src", ""))
        if tag == "script":
            self._data = values.get("type") == "application/ld+json"
            if self._data:
                self.data_blocks.append("")
            else:
                self.inline_code.append("script")
        self.inline_code += [name for name in values if name == "style" or name.startswith("on")]
        self.references += [(tag, name, values[name]) for name in ("href", "src") if name in values]

    def handle_endtag(self, tag: str) -> None:
        if self._open and self._open[-1] == tag:
            self._open.pop()
        else:
            inside = self._open[-1] if self._open else "nothing"
            self.faults.append(f"line {self.getpos()[0]}: </{tag}> closes <{inside}>")
        if tag in _BLOCKS:
            self.texts.append("\n")

    def handle_data(self, data: str) -> None:
        inside = self._open[-1] if self._open else ""
        if inside == "script":
            if self._data:
                self.data_blocks[-1] += data
        elif inside == "title":
            self.title += data
        elif inside != "style":
            self.texts.append(data)
            if inside == "h1":
                self.headings[-1] += data

    @property
    def visible_text(self) -> str:
        """What a visitor reads; blocks are on lines of their own."""
        return "".join(self.texts)

    @property
    def stated_text(self) -> str:
        """Everything the page states: its text, its title, its descriptions."""
        named = ("description", "og:title", "og:description", "og:site_name")
        return "\n".join([self.visible_text, self.title, *(self.metas.get(name, "") for name in named)])
