"""Each check speaks when its fault is there, with a remedy, and is content without it."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from master.capabilities import load_capabilities
from master.cli.doctor.examine import CHECKS, examine
from master.cli.doctor.ground import Finding, Fleet, Ground, Ran, fine
from master.cli.doctor.parts import judge_strays, quick_check
from master.cli.doctor.rabbitmq import check_rabbitmq, judge_rabbitmq
from master.ledger.entries import GENESIS
from master.rabbitmq.look import BrokerSettings, find_alarms
from master.settings import load_settings
from master.store import Database
from master.store.migrate import migrate
from tasks.build import current_build
from tasks.errors import Unreachable

NOW = datetime(2026, 11, 21, tzinfo=UTC)
TOKEN = "123456789:" + "A" * 35
WORKER: dict[str, Any] = {
    "name": "garage", "state": "active", "reason": "", "update_error": "", "clock_skew_s": 0.2,
    "hardware": {"disk_free_mib": 9000},
}  # fmt: skip
RUNC = {"Version": "27.0.1", "Components": [{"Name": "runc", "Version": "1.1.12"}]}
GOOD: dict[str, Ran] = {
    "timedatectl": Ran(code=0, output="yes"),
    "vcgencmd": Ran(code=0, output="throttled=0x0"),
    "docker": Ran(code=0, output=json.dumps(RUNC)),
    "nvidia-smi": Ran(code=0, output="RTX 3060, 550.1"),
}


def running(**programs: Ran) -> Callable[[Sequence[str]], Ran]:
    return lambda command: {**GOOD, **programs}.get(command[0], Ran(code=None))


def fleet(state: str = "running", build: str = "", **worker: Any) -> Fleet:
    return Fleet(
        url="http://127.0.0.1:7500",
        status={"master_build": build or current_build().id, "state": state},
        workers=[{**WORKER, **worker}],
    )


def nobody() -> Fleet:
    raise Unreachable("no master has run here yet")


@pytest.fixture
def ground(d8_home: Path, tmp_path: Path) -> Ground:
    """A healthy machine with a healthy fleet."""
    root = tmp_path / "root"
    for name, content in {
        "proc/meminfo": "MemTotal: 8000000 kB\nMemAvailable: 4000000 kB\nSwapTotal: 100000 kB\nSwapFree: 90000 kB\n",
        "proc/mounts": "/dev/sda1 / ext4 rw,relatime 0 0\n",
        "sys/class/thermal/thermal_zone0/temp": "51000\n",
        "etc/timezone": "Etc/UTC\n",
    }.items():
        put(root / name, content)
    return Ground(
        settings=load_settings(telegram_token=TOKEN, telegram_users="4711", port=0),
        fleet=fleet,
        root=root,
        run=running(),
        fetch=lambda _: (200, json.dumps({"ok": True, "result": {"username": "d8_bot"}}).encode()),
        python=(3, 12, 1),
        free_mib=lambda _: 9000,
        open_files=4096,
        now=NOW,
    )


def put(path: Path, content: str, mode: int = 0o600) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(mode)


def check(name: str, ground: Ground, **changes: Any) -> Finding | None:
    return CHECKS[name](dataclasses.replace(ground, **changes))


def programs(name: str, code: int | None, output: str = "") -> dict[str, Any]:
    return {"run": running(**{name: Ran(code=code, output=output)})}


OLD_RUNC = json.dumps({"Version": "27.0.1", "Components": [{"Name": "runc", "Version": "1.1.5"}]})
GIVEN_FAULTS: list[tuple[str, dict[str, Any], str, str]] = [
    ("python", {"python": (3, 10, 2)}, "missing", "3.10.2"),
    ("clock", programs("timedatectl", 0, "no"), "warning", "not synchronized"),
    ("disk", {"free_mib": lambda _: 100}, "missing", "100 MiB free"),
    ("power", programs("vcgencmd", 0, "throttled=0x50005"), "missing", "too low now"),
    ("power", programs("vcgencmd", 0, "throttled=0x50000"), "warning", "since the start"),
    ("open files", {"open_files": 256}, "warning", "at most 256"),
    ("gpu driver", programs("nvidia-smi", 18, "Driver/library version mismatch\nx"), "missing", "mismatch"),
    ("docker", programs("docker", None), "warning", "not installed"),
    ("docker", programs("docker", 1, "null\npermission denied"), "warning", "permission denied"),
    ("docker", programs("docker", 0, '{"Version": "18.09.1"}'), "warning", "18.09.1"),
    ("runc", programs("docker", 0, OLD_RUNC), "missing", "1.1.5"),
    ("telegram", {"fetch": lambda _: (401, b'{"ok":false,"description":"Unauthorized"}')}, "missing", "Unauthorized"),
    ("master", {"fleet": nobody}, "missing", "no master has run"),
    ("master", {"fleet": lambda: fleet(build="f" * 12)}, "warning", "ffffffffffff"),
    ("dispatch", {"fleet": lambda: fleet("paused")}, "warning", "paused"),
    ("workers", {"fleet": lambda: fleet(state="running", reason="") and Fleet(
        url="", status={}, workers=[])}, "missing", "none is active"),
    ("updates", {"fleet": lambda: fleet(update_error="it did not start")}, "warning", "it did not start"),
    ("workers' clocks", {"fleet": lambda: fleet(clock_skew_s=-95.0)}, "warning", "-95 s"),
    ("workers' disks", {"fleet": lambda: fleet(hardware={"disk_free_mib": 5})}, "warning", "5 MiB"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fault", "level", "told"), GIVEN_FAULTS)
def test_check_speaks_of_its_fault(
    ground: Ground, name: str, fault: dict[str, Any], level: str, told: str
) -> None:
    content = check(name, ground)
    assert content is not None
    assert content.level == "ok"
    found = check(name, ground, **fault)
    assert found is not None
    assert (found.check, found.level) == (name, level)
    assert told in found.found
    assert found.remedy


@pytest.mark.parametrize(
    ("name", "state"),
    [("wrong builds", "wrong_build"), ("offline workers", "offline"), ("quarantined workers", "quarantined")],
)
def test_worker_that_gets_no_work_is_named_with_its_reason(ground: Ground, name: str, state: str) -> None:
    content = check(name, ground)
    assert content is not None
    assert content.level == "ok"
    of_state = Fleet(url="", status={}, workers=[{**WORKER, "state": state, "reason": "because"}])
    found = check(name, ground, fleet=lambda: of_state)
    assert found is not None
    assert (found.level, found.found) == ("warning", "garage: because")
    assert "d8 worker" in found.remedy


FILE_FAULTS: list[tuple[str, str, str, str, str]] = [
    ("file system", "proc/mounts", "/dev/sda1 / ext4 ro 0 0\n", "missing", "read-only"),
    ("memory", "proc/meminfo", "MemAvailable: 90000 kB\n", "warning", "87 MiB"),
    ("swap", "proc/meminfo", "SwapTotal: 100000 kB\nSwapFree: 900 kB\n", "warning", "97 of 97"),
    ("temperature", "sys/class/thermal/thermal_zone0/temp", "85000", "warning", "85 °C"),
    ("time zone", "etc/timezone", "America/Santiago\n", "warning", "America/Santiago"),
]


@pytest.mark.parametrize(("name", "path", "content", "level", "told"), FILE_FAULTS)
def test_check_reads_what_the_system_says(
    ground: Ground, name: str, path: str, content: str, level: str, told: str
) -> None:
    before = check(name, ground)
    assert before is not None
    assert before.level == "ok"
    put(ground.root / path, content)
    found = check(name, ground)
    assert found is not None
    assert found.level == level
    assert told in found.found
    assert found.remedy


def test_sd_card_and_the_pis_own_alarm_are_found(ground: Ground) -> None:
    assert check("sd card", ground) is None
    put(ground.root / "proc/mounts", "/dev/mmcblk0p2 / ext4 rw 0 0\n")
    found = check("sd card", ground)
    assert found is not None
    assert "mmcblk0p2" in found.found
    put(ground.root / "sys/class/hwmon/hwmon1/name", "rpi_volt\n")
    put(ground.root / "sys/class/hwmon/hwmon1/in0_lcrit_alarm", "1\n")
    found = check("power", ground, **programs("vcgencmd", None))
    assert found is not None
    assert found.level == "missing"


def test_gpu_without_a_driver_is_found(ground: Ground) -> None:
    none = check("gpu driver", ground, **programs("nvidia-smi", None))
    assert none is not None
    assert none.level == "ok"
    put(ground.root / "sys/class/drm/card0/device/vendor", "0x10de\n")
    found = check("gpu driver", ground, **programs("nvidia-smi", None))
    assert found is not None
    assert found.level == "missing"


def test_home_that_others_may_read_or_change_is_found(ground: Ground) -> None:
    home = ground.settings.home
    for mode, level in ((0o700, "ok"), (0o755, "warning"), (0o777, "missing")):
        home.chmod(mode)
        found = check("home permissions", ground)
        assert found is not None
        assert found.level == level
    for name, path in (("secrets", home / "secrets" / "owner.token"), ("d8.env", home / "d8.env")):
        for file_mode, healthy in ((0o600, True), (0o640, False)):
            put(path, "D8_PORT=7501\n", file_mode)
            found = check(name, ground)
            assert found is not None
            assert (found.level == "ok") is healthy
    missing_home = dataclasses.replace(ground, settings=load_settings(home=home / "new"))
    found = CHECKS["home"](missing_home)
    assert found is not None
    assert "d8 up" in found.remedy


def test_backup_that_is_old_or_was_never_made_is_found(ground: Ground) -> None:
    home = ground.settings.home
    assert check("backup", ground) is None, "nothing to back up"
    put(home / "secrets" / "owner.token", "x")
    for said, level in (
        (None, "warning"), (NOW - timedelta(days=31), "warning"), (NOW - timedelta(days=2), "ok")
    ):  # fmt: skip
        if said is not None:
            put(home / "last-backup", f"{said.isoformat()}\n")
        found = check("backup", ground)
        assert found is not None
        assert found.level == level


def test_logs_that_grow_and_rules_that_cannot_be_read_are_found(ground: Ground) -> None:
    home = ground.settings.home
    log = home / "logs" / "duties.log"
    put(log, "x")
    assert check("logs", ground) == fine("logs", "0 MiB")
    with log.open("r+b") as file:
        file.truncate(600 * 2**20)
    found = check("logs", ground)
    assert found is not None
    assert found.level == "warning"
    put(home / "policy.toml", "quiet_hours = 3\n")
    found = check("policy", ground)
    assert found is not None
    assert (found.level, "quiet_hours" in found.found) == ("missing", True)
    assert check("time zone", ground) is None, "the check of the policy says it"


def test_database_that_is_of_another_release_damaged_or_tampered_with_is_found(ground: Ground) -> None:
    for name in ("migrations", "database size", "integrity", "ledger"):
        assert check(name, ground) is None, "there is none yet"
    load_capabilities()
    database = Database(ground.settings.sqlalchemy_url)
    migrate(database)
    for name in ("database", "migrations", "database size", "integrity", "ledger"):
        found = check(name, ground)
        assert found is not None
        assert found.level == "ok", found
    with database.write() as connection:
        connection.execute(text(f"INSERT INTO ledger_head VALUES (1, 3, '{GENESIS}')"))
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for name, told in (("ledger", "cut off"), ("migrations", "9999")):
        found = check(name, ground)
        assert found is not None
        assert found.level == "missing"
        assert told in found.found
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    found = check("migrations", ground)
    assert found is not None
    assert (found.level, "d8 up" in found.remedy) == ("warning", True)
    database.close()


def test_damaged_pages_are_found_and_a_long_look_is_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (a)")
        connection.executemany("INSERT INTO t VALUES (?)", [("x" * 500,)] * 20_000)
    assert quick_check(connection, 10.0) == ""
    assert quick_check(connection, -1.0) is None
    connection.close()
    with path.open("r+b") as file:
        file.seek(4096 * 500)
        file.write(b"\xff" * 4096 * 3)
    with sqlite3.connect(path) as connection:
        assert quick_check(connection, 10.0)
    connection.close()


def test_machine_without_torch_is_a_master_only(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    found = check("torch", ground)
    assert found is not None
    assert found.level == "warning"


def test_tickets_that_strayed_are_found() -> None:
    assert judge_strays({"d8.strays": 0}).level == "ok"
    assert judge_strays({"d8.strays": 2}).level == "warning"


@pytest.mark.parametrize(
    ("fault", "level", "said"),
    [
        ({"alarms": ("rabbit@pi is over its memory limit",)}, "missing", "nobody can send"),
        ({"wrong_queues": ("d8.master",)}, "missing", "d8 pause"),
        ({"wrong_policies": ("d8-tickets was changed",)}, "warning", "within a minute"),
        ({"has_guest": True}, "warning", "delete_user guest"),
        ({}, "ok", ""),
    ],
)
def test_rabbitmq_that_stops_loses_or_lets_in_is_found(fault: dict[str, Any], level: str, said: str) -> None:
    sound: dict[str, Any] = {
        "version": "4.1.0", "alarms": (), "wrong_policies": (), "wrong_queues": (), "has_guest": False,
    }  # fmt: skip
    found = judge_rabbitmq(BrokerSettings.model_validate({**sound, **fault}))
    assert found.level == level
    assert said in found.remedy


def test_rabbitmq_whose_settings_cannot_be_seen_is_named(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check_rabbitmq(ground) is None, "another broker"
    monkeypatch.setenv("D8_BROKER_URL", "amqp://d8:x@127.0.0.1:1/d8")
    hidden = check_rabbitmq(dataclasses.replace(ground, settings=load_settings(home=ground.settings.home)))
    assert hidden is not None
    assert "D8_RABBITMQ_URL" in hidden.remedy
    monkeypatch.setenv("D8_RABBITMQ_URL", "http://d8:x@127.0.0.1:1")
    silent = check_rabbitmq(dataclasses.replace(ground, settings=load_settings(home=ground.settings.home)))
    assert silent is not None
    assert (silent.level, "does not answer" in silent.found) == ("missing", True)


def test_nodes_in_trouble_are_named() -> None:
    nodes = [
        {
            "name": "a",
            "running": True,
            "mem_alarm": False,
            "disk_free_alarm": False,
            "fd_used": 10,
            "fd_total": 1000,
        },
        {"name": "b", "running": True, "mem_alarm": True, "disk_free_alarm": True, "partitions": ["a"]},
        {"name": "c", "running": False, "fd_used": 950, "fd_total": 1000},
    ]
    assert find_alarms(nodes) == [
        "b is over its memory limit", "b has too little free disk", "b is cut off from a", "c does not run",
        "c has 950 of 1000 files open",
    ]  # fmt: skip


def test_port_of_another_program_is_found(ground: Ground) -> None:
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        taken = dataclasses.replace(ground, settings=load_settings(port=port))
        for answers, level in (
            (nobody, "missing"),
            (lambda: Fleet(url=f"http://127.0.0.1:{port}", status={}, workers=[]), "ok"),
        ):
            found = check("port", taken, fleet=answers)
            assert found is not None
            assert found.level == level


def test_telegrams_faults_never_show_the_token(ground: Ground) -> None:
    def raising(url: str) -> tuple[int, bytes]:
        raise OSError(f"cannot reach {url}")

    found = check("telegram", ground, fetch=raising)
    assert found is not None
    assert found.level == "missing"
    assert TOKEN not in found.found
    for settings, level in ((load_settings(), "warning"), (load_settings(telegram_token=TOKEN), "missing")):
        found = check("telegram", ground, settings=settings)
        assert found is not None
        assert found.level == level


def test_check_that_hangs_or_breaks_keeps_nobody_waiting(ground: Ground) -> None:
    never = threading.Event()

    def hang(_: Ground) -> Finding:
        never.wait()
        raise AssertionError

    def broken(_: Ground) -> Finding:
        raise KeyError("x")

    began = time.monotonic()
    found = examine(ground, {"a": hang, "b": broken, "c": lambda _: fine("c", "well")}, limit_s=0.2)
    assert time.monotonic() - began < 2.0
    never.set()
    assert [(one.check, one.level) for one in found] == [("a", "warning"), ("b", "warning"), ("c", "ok")]
    assert "0.2 s" in found[0].found


def test_there_are_many_checks_and_a_healthy_fleet_needs_nothing_but_a_backup(ground: Ground) -> None:
    load_capabilities()
    database = Database(ground.settings.sqlalchemy_url)
    migrate(database)
    database.close()
    found = examine(ground, limit_s=20.0)
    assert len(CHECKS) >= 40
    assert len(found) >= 33
    speaking = {one.check for one in found if one.level != "ok"}
    # The broker of this home has not run; Torch is where the tests run.
    assert speaking <= {"broker", "torch"}, [one for one in found if one.level != "ok"]
    assert all(one.remedy for one in found if one.level != "ok")
