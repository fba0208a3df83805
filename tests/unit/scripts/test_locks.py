"""The lock files: complete, agreeing with what was asked for and with each other, and bound to no host."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.environment.errors import EnvironmentFailure
from scripts.environment.locks import Pin, normalized, read_lock
from tests.support import ROOT

FOLDER = ROOT / "requirements"
LOCKS = {
    "pip.in": FOLDER / "pip.lock",
    "master.in": ROOT / "requirements.txt",
    "worker.in": FOLDER / "worker.lock",
    "otel.in": FOLDER / "otel.lock",
    "models.in": FOLDER / "models.lock",
    "dev.in": FOLDER / "dev.lock",
    "torch.in": FOLDER / "torch.lock",
    "torch-cuda.in": FOLDER / "torch-cuda.lock",
}


def asked_for(path: Path) -> dict[str, str]:
    """Normalized name -> version specifier, from a ``.in`` file."""
    asked: dict[str, str] = {}
    for raw in path.read_text(encoding="utf-8").splitlines():
        line = raw.partition("#")[0].strip()
        if match := re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*(.*)", line):
            asked[normalized(match[1])] = match[2]
    return asked


def satisfies(version: str, specifier: str) -> bool:
    """Whether a plain version fits ``>=1.2,<3``; enough of PEP 440 for our own files."""

    def key(text: str) -> tuple[int, ...]:
        numbers = [int(part) for part in re.findall(r"\d+", text.partition("+")[0])]
        return tuple((numbers + [0] * 6)[:6])

    for part in filter(None, specifier.replace(" ", "").split(",")):
        operator, bound = re.fullmatch(r"(==|>=|<)(.+)", part).groups()  # type: ignore[union-attr]
        fits = {
            "==": version == bound,
            ">=": key(version) >= key(bound),
            "<": key(version) < key(bound),
        }
        if not fits[operator]:
            return False
    return True


def test_every_file_of_wishes_has_its_lock_and_the_other_way_round() -> None:
    assert {path.name for path in FOLDER.glob("*.in")} == set(LOCKS)
    assert set(FOLDER.glob("*.lock")) | {ROOT / "requirements.txt"} == set(LOCKS.values())


@pytest.mark.parametrize("wishes", LOCKS)
def test_lock_holds_everything_that_was_asked_for(wishes: str) -> None:
    pins: dict[str, set[str]] = {}
    for pin in read_lock(LOCKS[wishes]):
        pins.setdefault(pin.name, set()).add(pin.version)
    for name, specifier in asked_for(FOLDER / wishes).items():
        assert name in pins, f"{wishes} asks for {name}, which its lock lacks: run scripts/lock"
        for version in pins[name]:
            assert satisfies(version, specifier), (
                f"{wishes} asks for {name}{specifier}, its lock has {version}"
            )


def test_locks_that_go_into_one_environment_agree() -> None:
    chosen: dict[tuple[str, str], tuple[str, str]] = {}
    for path in (LOCKS[name] for name in ("master.in", "worker.in", "models.in", "dev.in", "torch-cuda.in")):
        for pin in read_lock(path):
            version, where = chosen.setdefault((pin.name, pin.marker), (pin.version, path.name))
            assert version == pin.version, f"{pin.name}: {path.name} has {pin.version}, {where} has {version}"


def test_both_builds_of_torch_are_of_one_version() -> None:
    (cpu,) = read_lock(LOCKS["torch.in"])
    cuda = next(pin for pin in read_lock(LOCKS["torch-cuda.in"]) if pin.name == "torch")
    assert cpu.version == f"{cuda.version}+cpu"


def test_master_never_gets_torch() -> None:
    names = {pin.name for pin in read_lock(LOCKS["master.in"])}
    assert names.isdisjoint({"torch", "transformers", "numpy", "scikit-learn", "triton"})


def test_only_torchs_own_locks_hold_torch() -> None:
    for wishes, path in LOCKS.items():
        if not wishes.startswith("torch"):
            assert "torch" not in {pin.name for pin in read_lock(path)}, path.name


@pytest.mark.parametrize("path", [*LOCKS.values(), *sorted(FOLDER.glob("*.in"))], ids=lambda path: path.name)
def test_no_lock_names_a_host(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"https?://|file:|--(?:extra-)?index-url|--find-links|--trusted-host", text)


def test_lock_with_a_line_that_is_no_pin_names_the_line(tmp_path: Path) -> None:
    lock = tmp_path / "bad.lock"
    lock.write_text(f"a==1 \\\n    --hash=sha256:{'0' * 64}\n-e git+ssh://somewhere\n")
    with pytest.raises(EnvironmentFailure, match=r"bad\.lock:3: '-e git\+ssh"):
        read_lock(lock)


def test_pin_without_a_hash_is_refused(tmp_path: Path) -> None:
    lock = tmp_path / "bad.lock"
    lock.write_text("a==1\n")
    with pytest.raises(EnvironmentFailure, match="a has no hash"):
        read_lock(lock)


def test_pin_is_read_with_its_marker_and_hashes(tmp_path: Path) -> None:
    lock = tmp_path / "good.lock"
    digest = "ab" * 32
    lock.write_text(
        f"# why\nSome_Name==1.2+cpu ; python_full_version < '3.12' \\\n    --hash=sha256:{digest} \\\n"
        f"    --hash=sha256:{digest}\n"
    )
    assert read_lock(lock) == (
        Pin(
            name="some-name",
            version="1.2+cpu",
            marker="python_full_version < '3.12'",
            sha256s=(digest, digest),
        ),
    )
