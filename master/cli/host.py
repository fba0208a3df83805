"""``d8 worker show``, ``logs``, ``invites`` and ``revoke``: one machine, and who may still become one."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import quote

import typer

from master.cli.base import Api, connect, emit, messages, table
from master.cli.look import Json
from tasks.errors import TimedOut

_LOOK_EVERY_S = 0.5


def show(name: str, json_mode: Json = False) -> None:
    """Show one worker: its state and why, what it runs, how fast it is, what failed on it."""
    emit(connect().get(f"/api/workers/{quote(name, safe='')}"), json_mode, _render)


def _render(worker: dict[str, Any]) -> Any:
    hardware = worker["hardware"]
    made = table("", "")
    made.add_row("worker", f"{worker['name']} on {worker['host'] or 'a machine that has not started it yet'}")
    made.add_row("state", worker["state"] + (f": {worker['reason']}" if worker["reason"] else ""))
    made.add_row("build", worker["build"] + (" (dirty)" if worker["dirty"] else ""))
    made.add_row("lanes", f"{', '.join(worker['lanes'])}; {worker['slots']} slots")
    made.add_row("machine", f"{hardware['cpus']} cores, {hardware['memory_mib'] // 1024} GiB")
    for number, gpu in enumerate(hardware["gpus"]):
        made.add_row(f"GPU {number}", _describe_gpu(gpu))
    for step in worker["running"]:
        made.add_row("runs", f"{step['task']} {step['key']} of {step['run_id']}, {step['progress']:.0%}")
    for pace in worker["paces"]:
        others = f", {pace['elsewhere_s']:.3g} s elsewhere" if pace["elsewhere_s"] is not None else ""
        made.add_row(
            "pace", f"{pace['task']}: {pace['seconds']:.3g} s a step ({pace['steps']} steps){others}"
        )
    for each in worker["strikes"]:
        made.add_row(
            "strikes", f"{each['task']}: {each['strikes']} steps failed here and were done elsewhere"
        )
    for failure in worker["failures"][:5]:
        first = failure["error"].partition("\n")[0]
        made.add_row(
            "failed", f"{failure['claimed_at'][:19]} {failure['key']} ({failure['outcome']}): {first}"
        )
    return made


def _describe_gpu(gpu: dict[str, Any]) -> str:
    use = f", {gpu['use_pct']} % busy" if gpu["use_pct"] is not None else ""
    heat = f", {gpu['temperature_c']} °C" if gpu["temperature_c"] is not None else ""
    return f"{gpu['name']}, {gpu['memory_used_mib']:,} of {gpu['memory_mib']:,} MiB{use}{heat}"


def logs(
    name: str,
    limit_s: Annotated[
        float, typer.Option("--timeout", min=1, help="How many seconds to wait for it.")
    ] = 90.0,
    json_mode: Json = False,
) -> None:
    """Show the end of a worker's log: it sends at most 64 KiB with its next heartbeat, without secrets."""
    api = connect()
    asked = datetime.now(UTC)
    within_s = api.post(f"/api/workers/{quote(name, safe='')}/log")["within_s"]
    messages().print(f"Asked {name}: it answers within some {within_s:.0f} s.")
    emit(_await_log(api, name, limit_s, asked), json_mode, _plain)


def _await_log(api: Api, name: str, limit_s: float, asked: datetime) -> dict[str, Any]:
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        found: dict[str, Any] = api.get(f"/api/workers/{quote(name, safe='')}/log")
        if found["asked_at"] is None and found["sent_at"] is not None:
            return found
        time.sleep(_LOOK_EVERY_S)
    waited_s = (datetime.now(UTC) - asked).total_seconds()
    raise TimedOut(
        f"worker {name!r} has not sent its log within {waited_s:.0f} s: 'd8 worker show {name}' says how it "
        f"stands; a worker of an older build cannot send one"
    )


def _plain(found: dict[str, Any]) -> None:
    """As it was written: not wrapped, not colored."""
    sys.stdout.write(found["text"])


def invites(json_mode: Json = False) -> None:
    """List the invites that are good now."""
    emit(connect().items("/api/invites"), json_mode, _render_invites)


def _render_invites(found: list[dict[str, Any]]) -> Any:
    if not found:
        return "no invite is open: 'd8 worker invite' makes one"
    made = table("id", "worker", "made", "good until")
    for each in found:
        made.add_row(each["id"], each["worker"] or "names itself", each["created_at"], each["expires_at"])
    return made


def revoke(
    invite: Annotated[str, typer.Argument(metavar="ID", help="As 'd8 worker invites' lists it.")],
) -> None:
    """Take an invite back that nobody has used yet."""
    connect().delete(f"/api/invites/{quote(invite, safe='')}")
    messages().print(f"{invite} is worth nothing now.")
