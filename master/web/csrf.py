"""Every form that changes something carries a token of the session that it was shown to.

The token is put in by the template's compiler, so that no form can be without one.
Why beside SameSite and Origin: https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html
"""

from __future__ import annotations

import contextvars
import re

from jinja2.ext import Extension
from markupsafe import Markup

from master.api.auth import FORM_FIELD

#: Of the page that is being rendered: macros of other templates see no page's values. "" without a session.
_shown: contextvars.ContextVar[str] = contextvars.ContextVar("d8_form_token", default="")
_FORM = re.compile(r"<form\b[^>]*\bmethod=\"post\"[^>]*>", re.IGNORECASE)


class FormTokens(Extension):
    """Writes ``{{ csrf() }}`` behind the head of every form that posts."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        return _FORM.sub(lambda found: found[0] + "{{ csrf() }}", source)


def shown_token() -> str:
    return _shown.get()


def hidden_field() -> Markup:
    token = _shown.get()
    return (
        Markup('<input type="hidden" name="{}" value="{}">').format(FORM_FIELD, token) if token else Markup()
    )


def show_token(token: str) -> contextvars.Token[str]:
    """For one rendering; give what it returns to ``hide_token``."""
    return _shown.set(token)


def hide_token(before: contextvars.Token[str]) -> None:
    _shown.reset(before)
