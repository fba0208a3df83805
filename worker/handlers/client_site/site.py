"""A built site, read for review."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from worker.handlers.client_site.page import HtmlPage


@dataclasses.dataclass(frozen=True)
class Site:
    files: Mapping[str, bytes]
    #: Every file as text; all that the builder makes is text.
    texts: Mapping[str, str]
    pages: tuple[HtmlPage, ...]

    @classmethod
    def read(cls, files: Mapping[str, bytes]) -> Site:
        texts = {path: data.decode("utf-8", errors="replace") for path, data in files.items()}
        pages = tuple(HtmlPage(path, text) for path, text in sorted(texts.items()) if path.endswith(".html"))
        return cls(files=dict(files), texts=texts, pages=pages)

    def ids(self, path: str) -> list[str]:
        """The ids of a page; none for another kind of file."""
        return next((page.ids for page in self.pages if page.path == path), [])
