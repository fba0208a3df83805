"""Which executor code gets: untrusted code only ever runs in Docker."""

from __future__ import annotations

import itertools

import pytest

from tasks.errors import PermanentFailure
from tasks.python_execute import EXECUTORS, Limits
from worker.sandbox.docker import command
from worker.sandbox.policy import choose_executor, parse_executors


@pytest.mark.parametrize("wish", ["", *EXECUTORS])
@pytest.mark.parametrize(
    "allowed", [subset for size in range(4) for subset in itertools.combinations(EXECUTORS, size)]
)
def test_untrusted_code_runs_in_docker_or_nowhere(wish: str, allowed: tuple[str, ...]) -> None:
    try:
        assert choose_executor(wish, trusted=False, allowed=allowed) == "docker"
    except PermanentFailure:
        assert wish in ("venv", "native") or "docker" not in allowed


def test_trusted_code_gets_the_safest_executor_that_is_allowed() -> None:
    assert choose_executor("", trusted=True, allowed=("venv", "native")) == "venv"
    assert choose_executor("native", trusted=True, allowed=EXECUTORS) == "native"


def test_executor_that_is_not_allowed_is_refused_with_the_setting() -> None:
    with pytest.raises(
        PermanentFailure, match=r"'native' is not allowed on this worker .*D8_EXECUTORS is docker"
    ):
        choose_executor("native", trusted=True, allowed=("docker",))


def test_setting_with_a_name_that_does_not_exist_is_refused() -> None:
    assert parse_executors("native, docker") == ("docker", "native")
    with pytest.raises(ValueError, match="'podman'"):
        parse_executors("podman")


def test_container_has_every_wall() -> None:
    line = " ".join(command("n", Limits(), image="i", owner="o", runtimes=frozenset({"runsc"})))
    for wall in (
        "--network none", "--read-only", "--cap-drop ALL", "--security-opt no-new-privileges", "--pids-limit 64",
        "--memory 256m --memory-swap 256m", "--user 65534:65534", "noexec,nosuid", "--runtime runsc", "--pull never",
    ):  # fmt: skip
        assert wall in line
    for hole in ("--privileged", "docker.sock", "--gpus", "--volume", "--mount", "--device"):
        assert hole not in line
