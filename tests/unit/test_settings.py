"""Settings: documented, checked at the door, secrets from files."""

from __future__ import annotations

from pathlib import Path

import pytest

from master.settings import Settings, load_settings
from tasks.errors import InvalidInput
from tasks.settings import read_secret_files
from worker.settings import WorkerSettings

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize("name", sorted({*Settings.model_fields, *WorkerSettings.model_fields}))
def test_every_setting_is_in_the_readme(name: str) -> None:
    assert f"`D8_{name.upper()}`" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_wrong_value_names_the_variable_and_where_to_mend_it(
    d8_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("D8_PORT", "many")
    with pytest.raises(InvalidInput, match=r"D8_PORT is not acceptable .*d8\.env"):
        load_settings()


def test_telegram_users_are_numbers_separated_by_commas_or_spaces(
    d8_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("D8_TELEGRAM_USERS", "12, 34 56")
    assert load_settings().telegram_users == (12, 34, 56)


def test_secret_comes_from_the_file_that_is_named(d8_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = d8_home / "token"
    secret.write_text("12:abc\n")
    monkeypatch.setenv("D8_TELEGRAM_TOKEN_FILE", str(secret))
    token = load_settings().telegram_token
    assert token is not None
    assert token.get_secret_value() == "12:abc"
    assert "12:abc" not in repr(load_settings())


def test_missing_secret_file_is_named() -> None:
    with pytest.raises(InvalidInput, match="D8_TELEGRAM_TOKEN_FILE names /nowhere"):
        read_secret_files({"D8_TELEGRAM_TOKEN_FILE": "/nowhere"})
