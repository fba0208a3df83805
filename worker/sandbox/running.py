"""One run of given code, whatever executes it: give it the code, wait, stop it, read what it said."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import secrets
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tasks.errors import PermanentFailure, TransientFailure
from tasks.python_execute import Limits, Request, Result
from worker.sandbox.streams import Captured

HARNESS = Path(__file__).with_name("harness.py").read_text(encoding="utf-8")
#: A flood beyond this ends the run: nobody reads it, and it costs time.
_FLOOD_BYTES = 64 * 2**20
_LOOK_EVERY_S = 0.1


@dataclasses.dataclass(frozen=True)
class Running:
    """A process with the harness in it."""

    process: subprocess.Popen[bytes]
    #: Ends it and all that it started, at once.
    kill: Callable[[], None]
    #: Asked after its end: whether it was ended for its memory.
    was_out_of_memory: Callable[[], bool]


def run_to_end(running: Running, request: Request, executor: str, tick: Callable[[float], None]) -> Result:
    """``tick`` is called with the share of the time that is over; what it raises ends the run.

    ``PermanentFailure`` names the limit that the code went over, or is what the code raised.
    """
    limits, mark, began = request.limits, f"<{secrets.token_hex(16)}>", time.monotonic()
    process = running.process
    assert process.stdout is not None, "it has pipes"
    assert process.stderr is not None, "it has pipes"
    out, err = Captured(process.stdout, limits.output_bytes), Captured(process.stderr, limits.output_bytes)
    why = ""
    try:
        _feed(process, request, mark)
        while process.poll() is None and not why:
            passed_s = time.monotonic() - began
            if passed_s > limits.seconds:
                why = f"it ran longer than its limit of {limits.seconds:g} s"
            elif out.total + err.total > _FLOOD_BYTES:
                why = f"it printed more than {_FLOOD_BYTES // 2**20} MiB"
            else:
                tick(min(1.0, passed_s / limits.seconds))
                time.sleep(_LOOK_EVERY_S)
    finally:
        running.kill()
        process.wait()
        _close(process, out, err)
    seconds = round(time.monotonic() - began, 3)
    if why:
        raise PermanentFailure(f"the code was ended: {why}. {_said(err)}".strip())
    answer = _find_answer(out, mark)
    if answer is None or answer.get("memory"):
        raise _explain_end(running, limits, err, answer)
    if "error" in answer:
        raise PermanentFailure(f"the code failed: {answer['error']}")
    text, printed = _before(out.head, mark)
    return Result(
        outputs=answer["outputs"],
        stdout=text,
        stderr=err.head.decode(errors="replace"),
        stdout_truncated=out.truncated and not printed,
        stderr_truncated=err.truncated,
        executor=executor,
        seconds=seconds,
    )


def _close(process: subprocess.Popen[bytes], *captured: Captured) -> None:
    """Read what is left. A grandchild that escaped may hold the other end open: it is not waited for."""
    for stream in captured:
        stream.join(10)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def _feed(process: subprocess.Popen[bytes], request: Request, mark: str) -> None:
    given = {
        "code": request.code, "inputs": request.inputs, "mark": mark, "most": request.limits.output_bytes,
    }  # fmt: skip
    assert process.stdin is not None, "it has pipes"
    try:
        process.stdin.write(json.dumps(given).encode() + b"\n")
        process.stdin.close()
    except BrokenPipeError:
        # It ended before it could read: its status and its last words say why.
        return


def _find_answer(out: Captured, mark: str) -> dict[str, Any] | None:
    _, found, rest = out.tail.rpartition(mark.encode())
    if not found:
        return None
    try:
        answer = json.loads(rest)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _before(head: bytes, mark: str) -> tuple[str, bool]:
    """What the code printed, without our own last line; and whether that was still in it."""
    text, found, _ = head.partition(f"\n{mark}".encode())
    return text.decode(errors="replace"), bool(found)


def _explain_end(running: Running, limits: Limits, err: Captured, answer: dict[str, Any] | None) -> Exception:
    code = running.process.returncode
    if answer is not None or running.was_out_of_memory():
        return PermanentFailure(
            f"the code was ended: it used more than its limit of {limits.memory_mib} MiB of memory"
        )
    if code in (125, 126, 127):
        # Docker's own: nothing of the code has run.
        return TransientFailure(f"the executor could not start the code (status {code}). {_said(err)}")
    return PermanentFailure(f"the code ended its own process with status {code}. {_said(err)}".strip())


def _said(err: Captured) -> str:
    tail = err.tail[-600:].decode(errors="replace").strip()
    return f"Its last words: {tail}" if tail else ""
