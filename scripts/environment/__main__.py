"""``scripts/env``: make or refresh ``.venv``."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from scripts.environment import host, pip
from scripts.environment import plan as planning
from scripts.environment.errors import EnvironmentFailure, NothingChanged
from scripts.environment.plan import Action, Plan, TorchSource, VenvFacts
from scripts.environment.venv import Venv, platform_of

ROOT = Path(__file__).resolve().parent.parent.parent


def main(arguments: Sequence[str]) -> int:
    wanted = planning.wanted_groups(_parse(arguments))
    try:
        venv = Venv(ROOT, ROOT / ".venv")
        with venv.alone():
            refresh(venv, wanted)
    except EnvironmentFailure as failure:
        print(failure, file=sys.stderr)
        return 3
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(
            f"{where}{error.strerror or error}. D8's environment is in {ROOT}/.venv: this user has to own "
            f"the checkout and the disk needs room. Then run the same command again.",
            file=sys.stderr,
        )
        return 3
    except KeyboardInterrupt:
        print("\nStopped; the next run starts over where that is needed.", file=sys.stderr)
        return 130
    return 0


def _parse(arguments: Sequence[str]) -> list[str]:
    parser = argparse.ArgumentParser(
        prog="scripts/env",
        description="Make or refresh .venv from the lock files. Without a choice: --master --worker.",
        epilog="D8_PYTHON names the Python to use. D8_TORCH=cpu or cuda chooses the build of PyTorch "
        "(default: by what GPU is here). Packages come from where pip is configured to get them.",
    )
    parser.add_argument(
        "--master",
        action="append_const",
        dest="groups",
        const=planning.MASTER,
        help="no PyTorch: fits a Raspberry Pi",
    )
    parser.add_argument(
        "--worker",
        action="append_const",
        dest="groups",
        const=planning.WORKER,
        help="with PyTorch and the models",
    )
    parser.add_argument(
        "--dev",
        action="append_const",
        dest="groups",
        const=planning.DEV,
        help="all of it, and the test tools",
    )
    return parser.parse_args(arguments).groups or []


def refresh(venv: Venv, wanted: Sequence[str]) -> None:
    """Bring ``.venv`` to what the lock files say for these groups."""
    chosen = os.environ.get("D8_TORCH", "")
    if chosen not in ("", planning.CPU, planning.CUDA):
        raise EnvironmentFailure(f"D8_TORCH is {chosen!r}: set it to cpu or cuda, or unset it")
    flavor = planning.torch_flavor(has_nvidia_gpu=host.has_nvidia_gpu(os.environ), chosen=chosen)
    facts = venv.facts()
    fits = facts.platform or platform_of(Path(sys.executable))
    digests = {group: _digest(group, flavor, fits) for group in wanted}
    plan = planning.plan(digests, facts)
    if plan.action is Action.REUSE:
        venv.link_command()
        return
    sources = planning.torch_sources(flavor, system=platform.system(), chosen=chosen)
    _check_room(f"installing {', '.join(plan.missing)}", planning.needed_mib(plan.missing))
    kept = _prepare(venv, plan, facts)
    try:
        _install(venv, plan, sources)
    except NothingChanged:
        venv.unchanged()
        raise
    venv.finish({**(facts.installed if kept else {}), **digests}, flavor)
    venv.link_command()
    print(f"{venv.folder} is ready: {', '.join(plan.missing)}.", file=sys.stderr)


def _digest(group: str, flavor: str, fits: str) -> str:
    locks = [*planning.LOCKS[group], planning.PIP_LOCK]
    if group == planning.WORKER:
        locks += [planning.TORCH_CPU_LOCK, planning.TORCH_CUDA_LOCK]
    return planning.digest_of(
        [(ROOT / lock).read_bytes() for lock in locks],
        platform=fits,
        torch=flavor if group == planning.WORKER else "",
    )


def _check_room(what: str, needed_mib: int) -> None:
    free_mib = host.free_mib(ROOT)
    if free_mib < needed_mib:
        raise NothingChanged(
            f"{ROOT} is on a disk with {free_mib} MiB free, and {what} needs about {needed_mib} MiB: make "
            f"room there, or clone D8 to a larger disk"
        )


def _prepare(venv: Venv, plan: Plan, facts: VenvFacts) -> bool:
    """A virtual environment with pip in it; says whether what was there before is still there."""
    kept = plan.action is Action.INSTALL
    if kept:
        venv.begin()
    else:
        again = " again, since the last installation did not finish" if facts.unfinished else ""
        print(f"Making {venv.folder} with Python {platform.python_version()}{again}", file=sys.stderr)
        venv.create()
    venv.ensure_pip()
    return kept


def _install(venv: Venv, plan: Plan, sources: Sequence[TorchSource]) -> None:
    # The big one goes first: a machine that cannot get it should hear so at once.
    if planning.WORKER in plan.missing:
        install_torch(venv, sources)
    locks = [lock for group in plan.missing for lock in planning.LOCKS[group]]
    pip.install(venv, locks, label=f"Libraries for {', '.join(plan.missing)}")


def install_torch(venv: Venv, sources: Sequence[TorchSource]) -> None:
    """PyTorch from the first of these sources that has it."""
    last: NothingChanged | None = None
    for source in sources:
        if source.index_url and not host.answers(source.index_url):
            print(f"{source.label}: {source.index_url} does not answer", file=sys.stderr)
            continue
        _check_room(source.label, source.needed_mib)
        try:
            return pip.install(venv, [source.lock], label=source.label, index_url=source.index_url)
        except NothingChanged as failure:
            last = failure
    raise last or NothingChanged(
        "no source of PyTorch answers: check the network, then run the same command again"
    )


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
