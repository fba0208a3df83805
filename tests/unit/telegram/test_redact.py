"""The token is in no line that is logged."""

from __future__ import annotations

import io
import logging

from master.telegram.redact import TokenFilter, redact

TOKEN = "4242:AA-secret"


def test_the_token_is_taken_out_plain_and_percent_encoded() -> None:
    text = f"https://api.example/bot{TOKEN}/x and bot4242%3AAA-secret/y"
    assert redact(text, TOKEN) == "https://api.example/bot<token>/x and bot<token>/y"
    assert redact("nothing", "") == "nothing"


def test_a_filtered_handler_hides_it_in_message_arguments_and_traceback() -> None:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.addFilter(TokenFilter(TOKEN))
    logger = logging.Logger("test")
    logger.addHandler(handler)
    try:
        raise ValueError(f"no answer from bot{TOKEN}/getUpdates")
    except ValueError:
        logger.exception("failed at %s", f"bot{TOKEN}")
    assert "failed at bot<token>" in written.getvalue()
    assert "ValueError: no answer from bot<token>/getUpdates" in written.getvalue()
    assert TOKEN not in written.getvalue()
