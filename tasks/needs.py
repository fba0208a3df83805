"""What a step asks of the machine that runs it, beside a lane; and whether a machine has it."""

from __future__ import annotations

from pydantic import Field

from tasks.protocol import Hardware
from tasks.record import Record


class Needs(Record):
    """Nothing is asked for by default. A model is a wish: who holds it goes first, others may load it."""

    #: Memory that one GPU must have in all, MiB.
    gpu_memory_mib: int = Field(default=0, ge=0)
    #: Memory that the machine must have in all, MiB.
    memory_mib: int = Field(default=0, ge=0)
    #: A way to run untrusted code that was seen working there: ``docker``, ``venv`` or ``native``.
    executor: str = Field(default="", max_length=20)
    #: Reference of a model that had better be there already.
    model: str = Field(default="", max_length=300)

    @property
    def binding(self) -> bool:
        """Whether there are machines that may not run the step at all."""
        return bool(self.gpu_memory_mib or self.memory_mib or self.executor)

    def __str__(self) -> str:
        parts = [
            f"a GPU with {self.gpu_memory_mib} MiB" if self.gpu_memory_mib else "",
            f"{self.memory_mib} MiB of memory" if self.memory_mib else "",
            f"the executor {self.executor!r}" if self.executor else "",
        ]
        return " and ".join(part for part in parts if part) or "nothing in particular"


#: Any machine of the lane will do.
NOTHING = Needs()


def parse_needs(text: str) -> Needs:
    """From the column of a step, where nothing is ""."""
    return Needs.model_validate_json(text) if text else NOTHING


def why_unfit(needs: Needs, hardware: Hardware) -> str:
    """Why this machine cannot serve these needs, or ""."""
    best = max((gpu.memory_mib for gpu in hardware.gpus), default=0)
    if needs.gpu_memory_mib > best:
        return f"it wants a GPU with {needs.gpu_memory_mib} MiB, the largest here has {best} MiB"
    if needs.memory_mib > hardware.memory_mib:
        return f"it wants {needs.memory_mib} MiB of memory, there are {hardware.memory_mib} MiB"
    if needs.executor and needs.executor not in hardware.executors:
        has = ", ".join(hardware.executors) or "none"
        return f"it wants the executor {needs.executor!r}, the ones that work here are: {has}"
    return ""
