"""Changing the rules: whole or not at all, and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from master.approvals.policy_edit import EXAMPLE, change_policy, previous_of, read_text, undo_policy
from master.approvals.policy_file import parse_policy
from tasks.errors import InvalidInput, NotFound, Refused

FIRST = 'time_zone = "Europe/Madrid"\n'
SECOND = 'time_zone = "America/Santiago"\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "policy.toml"


def test_the_example_is_in_order() -> None:
    policy = parse_policy(EXAMPLE, "example")
    assert policy.time_zone == "Europe/Madrid"
    assert policy.people == {"ana": ("telegram:4711", "owner:ana")}


def test_rules_that_are_wrong_change_nothing_and_say_where(path: Path) -> None:
    change_policy(path, FIRST)
    for wrong in ("time_zone = ", "foo = 1", 'time_zone = "Mars/North"', "x" * 70_000):
        with pytest.raises(InvalidInput):
            change_policy(path, wrong)
    assert path.read_text() == FIRST
    with pytest.raises(InvalidInput, match=r"policy\.toml: there is no setting 'foo'"):
        change_policy(path, "foo = 1")


def test_the_rules_before_are_kept_and_undone_and_done_again(path: Path) -> None:
    with pytest.raises(NotFound):
        undo_policy(path)
    change_policy(path, FIRST)
    change_policy(path, SECOND.replace("\n", "\r\n"))
    assert path.read_text() == SECOND
    assert undo_policy(path).time_zone == "Europe/Madrid"
    assert undo_policy(path).time_zone == "America/Santiago"
    assert (path.stat().st_mode & 0o777, previous_of(path).stat().st_mode & 0o777) == (0o600, 0o600)


def test_a_change_of_what_somebody_else_has_changed_is_refused(path: Path) -> None:
    _, nothing = read_text(path)
    change_policy(path, FIRST, before=nothing)
    with pytest.raises(Refused, match="was changed after"):
        change_policy(path, SECOND, before=nothing)
    assert path.read_text() == FIRST


def test_saving_what_is_there_loses_no_undo(path: Path) -> None:
    change_policy(path, FIRST)
    change_policy(path, SECOND)
    change_policy(path, SECOND)
    assert undo_policy(path).time_zone == "Europe/Madrid"
