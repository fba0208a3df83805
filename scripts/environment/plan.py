"""What has to be done: which locks for which group, which torch, and whether ``.venv`` can be used again.

Pure: facts come in, decisions go out.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

MASTER = "master"
WORKER = "worker"
DEV = "dev"

#: The lock files of each group, relative to the checkout; torch comes beside them for workers.
LOCKS: Mapping[str, tuple[str, ...]] = {
    MASTER: ("requirements.txt",),
    WORKER: ("requirements/worker.lock", "requirements/models.lock"),
    DEV: ("requirements/dev.lock",),
}
PIP_LOCK = "requirements/pip.lock"
TORCH_CPU_LOCK = "requirements/torch.lock"
TORCH_CUDA_LOCK = "requirements/torch-cuda.lock"

#: PyTorch's own index of builds without CUDA.
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"

CPU = "cpu"
CUDA = "cuda"

#: Free space that an installation needs while it goes on, MiB (measured, and some room).
NEEDED_MIB: Mapping[str, int] = {MASTER: 400, WORKER: 1000, DEV: 300}
TORCH_CPU_NEEDED_MIB = 1500
TORCH_CUDA_NEEDED_MIB = 9000


class Action(enum.Enum):
    """What happens to ``.venv``."""

    CREATE = "create"
    #: We made it, and it was left half-made or its Python is gone.
    REBUILD = "rebuild"
    INSTALL = "install"
    REUSE = "reuse"


@dataclasses.dataclass(frozen=True, kw_only=True)
class VenvFacts:
    """What is found at ``.venv``."""

    exists: bool
    #: An installation began there and did not end.
    unfinished: bool = False
    #: Operating system, architecture and ABI of its Python; "" when that does not run or is too old or new.
    platform: str = ""
    #: What the last finished installation recorded: group -> digest.
    installed: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TorchSource:
    """One way to get torch; they are tried in order."""

    lock: str
    #: For people: "the CPU build from PyTorch's own index".
    label: str
    #: Free space it needs while it is installed, MiB.
    needed_mib: int
    #: Asked instead of the index that pip is configured with, when not "".
    index_url: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    action: Action
    #: Groups that are not installed as the locks say, in order of installation.
    missing: tuple[str, ...]


def wanted_groups(flags: Sequence[str]) -> tuple[str, ...]:
    """Groups for the flags given: none means master and worker; dev tests both, so it brings both."""
    chosen = set(flags) or {MASTER, WORKER}
    if DEV in chosen:
        chosen = {MASTER, WORKER, DEV}
    return tuple(group for group in (MASTER, WORKER, DEV) if group in chosen)


def digest_of(contents: Sequence[bytes], *, platform: str, torch: str) -> str:
    """Identity of what a group's installation would be. Any change of it means installing again."""
    digest = hashlib.sha256()
    for part in (*contents, platform.encode(), torch.encode()):
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()


def plan(wanted: Mapping[str, str], venv: VenvFacts) -> Plan:
    """Compare what is wanted (group -> digest) with what is there."""
    if not venv.exists:
        return Plan(action=Action.CREATE, missing=tuple(wanted))
    if venv.unfinished or not venv.platform:
        # Groups that were there before are forgotten: the next command that wants one installs it.
        return Plan(action=Action.REBUILD, missing=tuple(wanted))
    missing = tuple(group for group, digest in wanted.items() if venv.installed.get(group) != digest)
    return Plan(action=Action.INSTALL if missing else Action.REUSE, missing=missing)


def torch_flavor(*, has_nvidia_gpu: bool, chosen: str) -> str:
    """``cpu`` or ``cuda``; what the user chose (``D8_TORCH``) goes first."""
    if chosen in (CPU, CUDA):
        return chosen
    return CUDA if has_nvidia_gpu else CPU


def torch_sources(flavor: str, *, system: str, chosen: str) -> tuple[TorchSource, ...]:
    """Ways to get this flavor on this system (``platform.system()``), best first.

    Builds without CUDA exist apart only for Linux; PyPI's for macOS has none anyway.
    """
    pypi_label = (
        "PyTorch from PyPI" if system != "Linux" else "PyTorch with CUDA (2.5 GB to download, 6 GB on disk)"
    )
    pypi_mib = TORCH_CPU_NEEDED_MIB if system != "Linux" else TORCH_CUDA_NEEDED_MIB
    pypi = TorchSource(lock=TORCH_CUDA_LOCK, label=pypi_label, needed_mib=pypi_mib)
    if flavor == CUDA or system != "Linux":
        return (pypi,)
    cpu = (
        TorchSource(
            lock=TORCH_CPU_LOCK,
            label="PyTorch without CUDA, as pip is configured here",
            needed_mib=TORCH_CPU_NEEDED_MIB,
        ),
        TorchSource(
            lock=TORCH_CPU_LOCK,
            label="PyTorch without CUDA, from its own index",
            needed_mib=TORCH_CPU_NEEDED_MIB,
            index_url=TORCH_CPU_INDEX,
        ),
    )
    # Who asks for the small one by name does not want the big one instead.
    return cpu if chosen == CPU else (*cpu, pypi)


def needed_mib(groups: Sequence[str]) -> int:
    """Free space that installing these groups needs beside torch, MiB."""
    return sum(NEEDED_MIB[group] for group in groups)


def read_stamp(stamp: Any) -> dict[str, str]:
    """Group -> digest from a decoded stamp file; nothing at all from one that is not as we write it."""
    groups = stamp.get("groups") if isinstance(stamp, dict) else None
    if not isinstance(groups, dict):
        return {}
    return {str(group): digest for group, digest in groups.items() if isinstance(digest, str)}
