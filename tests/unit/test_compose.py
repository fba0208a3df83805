"""docker-compose.yml and what goes with it: the promises that can be read off the files."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from tasks.build import code_files
from tests.support import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
#: Not the master's: they run on machines with more memory.
WORKERS = {name for name in SERVICES if name.startswith(("worker-", "models-"))}

_MIB = {"m": 1, "g": 1024}


def load_make_secrets() -> ModuleType:
    """docker/ is no package: it would shadow Docker's library."""
    spec = importlib.util.spec_from_file_location("make_secrets", ROOT / "docker/make_secrets.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Its dataclasses look themselves up there.
    sys.modules["make_secrets"] = module
    spec.loader.exec_module(module)
    return module


make_secrets = load_make_secrets()


def environment_of(service: str) -> dict[str, str]:
    found: dict[str, str] = SERVICES[service].get("environment", {})
    return found


def test_master_fits_a_raspberry_pi_with_four_gigabytes() -> None:
    limits = [SERVICES[name]["mem_limit"] for name in SERVICES.keys() - WORKERS]
    total_mib = sum(int(limit[:-1]) * _MIB[limit[-1]] for limit in limits)
    assert total_mib <= 2304, "the system, its cache and a browser want the rest"


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_service_is_limited_logs_little_and_comes_back(name: str) -> None:
    service = SERVICES[name]
    assert service["mem_limit"]
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert service["restart"] == ("no" if name == "secrets" else "unless-stopped")
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["cap_drop"] == ["ALL"]
    assert "platform" not in service
    assert "docker.sock" not in str(service.get("volumes"))


@pytest.mark.parametrize(
    "name", sorted(SERVICES.keys() - {"secrets", "telegram", "models-cpu", "models-gpu"})
)
def test_every_server_has_a_health_check(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"]


def test_no_password_is_in_the_file() -> None:
    for name in SERVICES:
        for variable, value in environment_of(name).items():
            if re.search(r"PASS|TOKEN|SECRET|BROKER_URL|DATABASE_URL", variable):
                assert variable.endswith("_FILE"), f"{name}: {variable}"
                assert value.startswith(("/secrets/", "/run/d8/")), f"{name}: {variable}"


def test_every_image_can_be_replaced_and_every_build_takes_its_base() -> None:
    for name, service in SERVICES.items():
        assert re.fullmatch(r"\$\{D8_\w+_IMAGE:-[^}]+\}", service["image"]), name
        if "build" in service:
            assert service["build"]["args"]["BASE_IMAGE"].startswith("${D8_BASE_IMAGE:-")
    for dockerfile in (ROOT / "docker").glob("*.Dockerfile"):
        text = dockerfile.read_text(encoding="utf-8")
        if "docker/install" in text:
            assert set(re.findall(r"^FROM (\S+)", text, re.M)) == {"${BASE_IMAGE}"}
            assert re.search(r"^USER d8$", text, re.M)


def test_only_the_fleets_own_ports_can_be_opened_to_other_machines() -> None:
    ports = {port for service in SERVICES.values() for port in service.get("ports", [])}
    assert {port for port in ports if not port.startswith("127.0.0.1:")} == {
        "${D8_PUBLISH:-127.0.0.1}:5672:5672",
        "${D8_PUBLISH:-127.0.0.1}:${D8_PORT:-7500}:7500",
    }


def test_workers_cannot_reach_the_database_and_wait_for_no_service_of_the_master() -> None:
    assert SERVICES["postgres"]["networks"] == ["store"]
    for name in WORKERS:
        assert SERVICES[name]["networks"] == ["fleet"]
        assert set(SERVICES[name].get("depends_on", {})) <= WORKERS
        assert SERVICES[name]["profiles"] == [name.replace("models", "worker")]


def test_gpu_is_reserved_for_the_worker_and_its_model_server_and_pinned() -> None:
    for name in ("worker-gpu", "models-gpu"):
        (device,) = SERVICES[name]["deploy"]["resources"]["reservations"]["devices"]
        assert device == {"driver": "nvidia", "device_ids": ["${D8_GPU:-0}"], "capabilities": ["gpu"]}
        assert environment_of(name)["CUDA_VISIBLE_DEVICES"] == "0"
        assert SERVICES[name]["build"]["args"]["TORCH"] == "cuda"


def test_worker_and_its_model_server_share_the_socket() -> None:
    for kind in ("cpu", "gpu"):
        socket = environment_of(f"worker-{kind}")["D8_MODEL_SOCKET"]
        command = SERVICES[f"models-{kind}"]["command"]
        assert command[command.index("--socket") + 1] == socket
        run = f"models-{kind}-run:{Path(socket).parent}"
        assert run in SERVICES[f"worker-{kind}"]["volumes"]
        assert run in SERVICES[f"models-{kind}"]["volumes"]


def test_every_volume_that_is_used_is_declared_and_the_other_way_round() -> None:
    used = {
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if not volume.startswith(".")
    }
    assert used == set(COMPOSE["volumes"])


def test_files_that_are_mounted_are_there() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            if volume.startswith("."):
                assert (ROOT / volume.split(":")[0]).is_file()


def test_images_get_every_file_that_the_build_is_computed_from() -> None:
    allowed = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    needed = {path.relative_to(ROOT).parts[0] for path in code_files(ROOT)}
    assert needed <= allowed
    worker = (ROOT / "docker/worker.Dockerfile").read_text(encoding="utf-8")
    assert all(re.search(rf"^COPY .*\b{re.escape(name)}", worker, re.M) for name in needed)


def test_every_variable_of_the_compose_file_is_explained() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    manual = (ROOT / "docs/install.md").read_text(encoding="utf-8")
    variables = set(re.findall(r"\$\{(\w+)", text))
    assert not {name for name in variables if f"`{name}`" not in manual}


def some_passwords() -> Any:
    return make_secrets.Passwords(
        rabbitmq="r" * 43, redis="e" * 43, postgres="p" * 43, flower="f" * 43, worker="w" * 43
    )


def test_secrets_reach_only_those_who_need_them() -> None:
    files = make_secrets.files_for(some_passwords(), make_secrets.read_addresses({}))
    holders = {
        letter: {file.path.split("/")[0] for file in files if letter * 43 in file.text} for letter in "repfw"
    }
    workers = {"worker-cpu", "worker-gpu"}
    assert holders == {
        "r": {"master", "flower", *workers},
        "e": {"redis"},
        "p": {"postgres", "master"},
        "f": {"flower"},
        "w": {"master-home", *workers},
    }
    ours = {"master", "master-home", "flower", *workers}
    assert all((file.user == make_secrets.D8_USER) == (file.path.split("/")[0] in ours) for file in files)


def test_redis_carries_the_tickets_when_it_is_chosen() -> None:
    files = make_secrets.files_for(some_passwords(), make_secrets.read_addresses({"BROKER": "redis"}))
    urls = {file.text for file in files if file.path.endswith("/broker.url")}
    assert urls == {"redis://:" + "e" * 43 + "@redis:6379/0"}
    with pytest.raises(SystemExit, match="D8_BROKER is 'kafka'"):
        make_secrets.read_addresses({"BROKER": "kafka"})


def test_broker_gets_a_hash_and_no_guest() -> None:
    text = make_secrets.rabbitmq_definitions("open sesame")
    (user,) = json.loads(text)["users"]
    assert user["name"] == "d8"
    assert "open sesame" not in text
    salted = base64.b64decode(user["password_hash"])
    assert salted[4:] == hashlib.sha256(salted[:4] + b"open sesame").digest()


def test_password_that_is_there_is_never_made_again(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.mkdir()
    first = make_secrets.keep_key(keys, "redis", "found")
    assert first == make_secrets.keep_key(keys, "redis", "another") == "found"
    assert (keys / "redis").stat().st_mode & 0o777 == 0o600
    assert len({make_secrets.keep_key(keys, name) for name in ("a", "b", "c")}) == 3


def test_image_refuses_to_be_labeled_as_another_build(tmp_path: Path) -> None:
    for name in ("docker/bake", "tasks"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        subprocess.run(["cp", "-R", ROOT / name, tmp_path / name], check=True)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    python = tmp_path / ".venv/bin/python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    done = subprocess.run(
        [tmp_path / "docker/bake", "0123456789ab"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "D8_BUILD says 0123456789ab" in done.stderr
