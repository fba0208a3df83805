"""docker-compose.yml: every image is built, the stack comes up, and work that is submitted gets done."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tasks.build import build_id
from tests.e2e.debian import base_tar, serve, servers_tar, wheels
from tests.e2e.engine import DockerEngine
from tests.e2e.stack import BASE, STAND_IN, Stack, stand_in_context
from tests.support import require, wait_until

pytestmark = pytest.mark.services

_LOCKS = ("requirements.txt", "requirements/worker.lock", "requirements/pip.lock")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerEngine]:
    require("docker-compose")
    base, servers = base_tar(), servers_tar()
    made = DockerEngine(tmp_path_factory.mktemp("engine"))
    client = made.client()
    client.api.import_image(src=str(base), repository=BASE)
    client.api.import_image(src=str(servers), repository=f"{STAND_IN}-root")
    client.images.build(fileobj=stand_in_context(), custom_context=True, tag=STAND_IN, network_mode="host")
    client.close()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def stack(engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole stack, built and healthy; the worker is one without torch."""
    with serve(wheels(_LOCKS, platform.machine())) as find_links:
        made = Stack(tmp_path_factory.mktemp("stack"), engine, find_links=find_links)
        # One service of each image: the others find it made.
        made.compose("build", "--parallel", "secrets", "worker-cpu")
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def token(stack: Stack) -> str:
    """The owner's, from the master's volume."""
    return stack.run_in("api", "cat", "/var/lib/d8/secrets/owner.token").strip()


def run_noop(stack: Stack, token: str) -> Any:
    """A run of five steps, submitted and finished."""
    answer = stack.get("api", "/api/runs", token=token, body={"flow": "noop", "params": {"steps": 5}})
    assert answer.status == 201, answer.data
    path = f"/api/runs/{answer.json()['id']}"

    def ended() -> bool:
        return stack.get("api", path, token=token).json()["state"] not in ("running", "waiting")

    wait_until(ended, 90, f"{path} ends", stack.explain)
    run = stack.get("api", path, token=token).json()
    assert run["state"] == "done", run["error"]
    return run


def test_submitted_work_is_done_by_the_worker_container(stack: Stack, token: str) -> None:
    run = run_noop(stack, token)
    assert {step["worker"] for step in run["steps"]} == {"docker-cpu"}


def test_command_line_works_in_the_masters_container(stack: Stack) -> None:
    workers = json.loads(stack.run_in("api", "d8", "worker", "list", "--json"))
    assert [(worker["name"], worker["state"]) for worker in workers] == [("docker-cpu", "active")]


def test_images_hold_the_build_of_this_checkout(stack: Stack) -> None:
    for service in ("api", "worker-cpu"):
        assert stack.run_in(service, "cat", "/opt/d8/BUILD").strip() == build_id()
    assert stack.get("api", "/readyz").json()["build"] == build_id()


def test_nothing_of_ours_runs_as_root_and_torch_is_not_in_the_master(stack: Stack) -> None:
    for service in ("api", "duties", "flower", "worker-cpu"):
        assert stack.run_in(service, "sh", "-c", "grep -h ^Uid: /proc/1/status").split()[1] == "10001"
    assert (
        stack.run_in("api", "sh", "-c", "ls .venv/lib/python3*/site-packages | grep -c '^torch$' || true")
        == "0\n"
    )


def test_broker_knows_the_fleets_user_only(stack: Stack) -> None:
    def listed(what: str) -> list[str]:
        command = ("rabbitmqctl", "-q", what, "--no-table-headers")
        return stack.run_in("rabbitmq", *command, user="rabbitmq").split()

    assert listed("list_users") == ["d8", "[administrator]"]
    assert listed("list_vhosts") == ["d8"]


def test_servers_and_flower_refuse_who_has_no_password(stack: Stack) -> None:
    assert stack.get("flower", "/workers").status == 401
    assert stack.get("management", "/api/overview").status == 401
    assert "NOAUTH" in stack.run_in("redis", "redis-cli", "-p", str(stack.ports["redis"]), "dbsize")
    refused = stack.container("postgres").exec_run(
        ["psql", "-h", "127.0.0.1", "-p", str(stack.ports["postgres"]), "-wU", "d8", "-c", "select 1"]
    )
    assert refused.exit_code != 0
    assert b"no password supplied" in refused.output


def test_no_secret_is_in_a_containers_description_or_readable_by_others(stack: Stack) -> None:
    keys = ["broker.url", "database.url"]
    texts = [stack.run_in("api", "cat", f"/secrets/{key}").strip() for key in keys]
    secrets = [match[1] for text in texts if (match := re.search(r":([^:@]{20,})@", text))]
    assert len(secrets) == 2
    described = repr([found.attrs for found in stack.containers()])
    assert not [secret for secret in secrets if secret in described]
    loose = "find /secrets /var/lib/d8/secrets -type f -perm /077"
    assert stack.run_in("api", "sh", "-c", loose) == ""


def test_starting_again_keeps_every_password_and_the_work(stack: Stack, token: str) -> None:
    def passwords() -> str:
        return stack.run_in("api", "sh", "-c", "cat /secrets/*.url /var/lib/d8/secrets/*")

    run = run_noop(stack, token)
    before = passwords()
    stack.compose("restart", "--timeout", "20", "secrets", "postgres", "rabbitmq", "api", "duties")
    stack.wait_healthy()
    assert passwords() == before
    assert stack.get("api", f"/api/runs/{run['id']}", token=token).json()["state"] == "done"


def test_worker_container_that_joins_gets_a_broker_user_of_its_own_and_works_with_it(
    stack: Stack, token: str
) -> None:
    """As a container on another machine does it: the last test, since this worker is another one then."""
    invite = json.loads(stack.run_in("api", "d8", "worker", "invite", "garage", "--json"))
    master = f"http://api:{stack.ports['api']}"
    join = ("d8", "worker", "join", master, invite["code"], "--name", "garage")
    # 'docker-compose run', as docs/install.md has it, cannot go with the host's network: into the same home.
    assert "'garage'" in stack.run_in("worker-cpu", *join)
    stack.compose("restart", "--timeout", "20", "worker-cpu")
    stack.wait_healthy()
    assert {step["worker"] for step in run_noop(stack, token)["steps"]} == {"garage"}
    listed = stack.run_in("rabbitmq", "rabbitmqctl", "-q", "list_connections", "user", user="rabbitmq")
    assert "worker-garage" in listed.split()
