"""The rules of the house that a machine can check."""

from __future__ import annotations

import ast
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from tasks.catalog import TASKS
from tests.support import ROOT

PACKAGES = ("tasks", "master", "worker", "scripts")

#: A module that passes this asks to be split by meaning.
LONGEST_MODULE = 300

#: Modules under these names decide; what they need to know is given to them.
DECIDING = frozenset(
    "admission budget decisions lanes metrics moves operators placement plan score scoring selection states "
    "transitions verdict".split()
)
IO_LIBRARIES = frozenset(
    "aiohttp celery docker fastapi httpx kombu psycopg2 redis requests socket sqlalchemy starlette "
    "subprocess telegram urllib3 uvicorn".split()
)

#: Libraries of models, which no master process may hold.
MODEL_LIBRARIES = ("torch", "transformers", "numpy", "scipy", "sklearn")

#: What keys and tokens of common services look like, and private keys.
SECRET = re.compile(
    r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----"
    r"|\b(?:sk-[A-Za-z0-9_-]{20,}|ghp_[A-Za-z0-9]{36}|hf_[A-Za-z0-9]{30,}"
    r"|AKIA[0-9A-Z]{16}|xox[bp]-[0-9A-Za-z-]{20,}|[0-9]{8,10}:AA[A-Za-z0-9_-]{33})\b"
)


def modules_of(*packages: str) -> list[Path]:
    return sorted(path for package in packages for path in (ROOT / package).rglob("*.py"))


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def tracked_or_new_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return [path for path in paths if path.is_file()]


def imported_names(path: Path) -> set[str]:
    """Top-level names that a module imports, lazily or not."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


def loaded_after_importing(modules: Iterable[str]) -> set[str]:
    """Names in ``sys.modules`` of a fresh Python that has imported these."""
    code = (
        "import importlib, json, sys\n"
        "for name in json.loads(sys.argv[1]): importlib.import_module(name)\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(list(modules))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_import_rules_of_the_architecture_hold() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [lint, "--no-logo", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_folder_of_the_master_has_its_place_in_the_layers() -> None:
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    placed = set(re.findall(r"\((\w+)\)", settings.partition('containers = ["master"]')[2]))
    folders = {path.parent.name for path in (ROOT / "master").glob("*/__init__.py")}
    assert folders <= placed, f"say in pyproject.toml to which layer {sorted(folders - placed)} belong"


def test_modules_that_decide_import_no_io_library() -> None:
    deciding = [path for path in modules_of("tasks", "master") if path.stem in DECIDING]
    assert deciding
    offenders = {
        dotted(path): sorted(found) for path in deciding if (found := imported_names(path) & IO_LIBRARIES)
    }
    assert not offenders


def test_importing_all_of_the_master_leaves_model_libraries_out() -> None:
    # Migrations are run by Alembic, inside a connection.
    modules = [
        dotted(path)
        for path in modules_of("master", "tasks")
        if path.stem != "__main__" and "migrations" not in path.parts
    ]
    loaded = loaded_after_importing(modules)
    assert loaded.isdisjoint(MODEL_LIBRARIES)


def test_importing_the_workers_handlers_leaves_torch_out() -> None:
    modules = [
        dotted(path)
        for path in modules_of("worker")
        if path.stem != "__main__" and "models" not in path.relative_to(ROOT).parts
    ]
    loaded = loaded_after_importing(modules)
    assert loaded.isdisjoint({"torch", "transformers"}), "Celery's children must not hold torch"


def test_every_task_has_its_handler_and_its_line_in_the_catalog() -> None:
    contracts = {
        path.stem
        for path in modules_of("tasks")
        if re.search(r"^TASK\b.*= TaskSpec\(", path.read_text("utf-8"), re.M)
    }
    cataloged = {task.name.replace(".", "_") for task in TASKS}
    assert contracts == cataloged
    for task in TASKS:
        handler = ROOT / (task.handler_module.replace(".", "/") + ".py")
        assert handler.is_file(), f"{task.name} has no {handler.relative_to(ROOT)}"
        functions = {
            node.name
            for node in ast.parse(handler.read_text("utf-8")).body
            if isinstance(node, ast.FunctionDef)
        }
        assert "handle" in functions, f"{handler.relative_to(ROOT)} has no handle(request, context)"


def test_task_names_are_unique() -> None:
    names = [task.name for task in TASKS]
    assert len(names) == len(set(names))


def test_no_module_is_longer_than_one_can_read_in_one_sitting() -> None:
    lengths = {dotted(path): len(path.read_text("utf-8").splitlines()) for path in modules_of(*PACKAGES)}
    assert not {name: length for name, length in lengths.items() if length > LONGEST_MODULE}


def test_docker_folder_does_not_shadow_the_docker_library() -> None:
    assert not (ROOT / "docker/__init__.py").exists()
    assert "site-packages" in str(importlib.import_module("docker").__file__)


def test_no_file_holds_what_looks_like_a_secret() -> None:
    offenders: list[str] = []
    for path in tracked_or_new_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        offenders += [f"{path.relative_to(ROOT)}: {match[0][:12]}..." for match in SECRET.finditer(text)]
    assert not offenders


def test_shell_scripts_stop_at_the_first_error_and_can_be_run() -> None:
    scripts = [
        path
        for path in [*(ROOT / "scripts").iterdir(), ROOT / ".ci/run"]
        if path.is_file() and not path.suffix
    ]
    assert scripts
    for path in scripts:
        text = path.read_text(encoding="utf-8")
        assert path.stat().st_mode & 0o111, f"{path} is not executable"
        if text.startswith("#!/usr/bin/env bash"):
            assert "\nset -euo pipefail\n" in text, path
