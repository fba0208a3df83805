"""``python.execute``: run given Python code with inputs, and return its outputs.

The code finds ``inputs`` (a JSON object) as a variable and leaves its answer in one called ``outputs``.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from tasks.record import Record
from tasks.spec import TaskSpec

DOCKER, VENV, NATIVE = "docker", "venv", "native"
#: The safest first.
EXECUTORS = (DOCKER, VENV, NATIVE)


class Limits(Record):
    """What the code may use; more ends it."""

    memory_mib: int = Field(default=256, ge=16, le=65_536)
    cpus: float = Field(default=1.0, gt=0, le=64)
    #: Processes and threads.
    pids: int = Field(default=64, ge=1, le=4096)
    seconds: float = Field(default=60.0, gt=0, le=3600)
    #: Of ``outputs`` as JSON, and of each of standard output and error that is kept.
    output_bytes: int = Field(default=65_536, ge=1024, le=4 * 2**20)


class Request(Record):
    code: str = Field(max_length=500_000)
    inputs: dict[str, Any] = Field(default_factory=dict)
    #: One of ``EXECUTORS``; empty for the safest that the worker has.
    executor: str = Field(default="", pattern="^(docker|venv|native)?$")
    #: Written by the owner or by D8 itself. Anything else only ever runs in Docker.
    trusted: bool = False
    limits: Limits = Limits()


class Result(Record):
    outputs: dict[str, Any]
    stdout: str
    stderr: str
    #: Whether something was left out of them.
    stdout_truncated: bool = False
    stderr_truncated: bool = False
    executor: str
    seconds: float


TASK = TaskSpec(name="python.execute", request=Request, result=Result, deadline_s=3700, max_attempts=3)
