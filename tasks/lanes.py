"""Lanes: classes of hardware, and so queues.

A worker serves every lane that its hardware can; a task names the lanes that it can use, best
first. Queue names carry the build, so that a worker of another build does not even see a ticket.
"""

from __future__ import annotations

CPU = "cpu"
GPU = "gpu"
GPU_16G = "gpu-16g"
GPU_24G = "gpu-24g"
GPU_48G = "gpu-48g"

#: Memory that one GPU must have, in MiB, for each GPU lane. A little under the marketing figure:
#: a "16 GB" card reports some 15.7 GiB and less.
GPU_LANES_MIB = {GPU: 0, GPU_16G: 15_000, GPU_24G: 22_000, GPU_48G: 44_000}

LANES = (CPU, *GPU_LANES_MIB)


def lanes_for(gpu_memories_mib: list[int]) -> list[str]:
    """The lanes that a host with GPUs of these memories (MiB each) serves, ``cpu`` first."""
    best = max(gpu_memories_mib, default=-1)
    return [CPU, *(lane for lane, needed in GPU_LANES_MIB.items() if best >= needed)]


def lane_queue(lane: str, build: str) -> str:
    """Queue on which any worker of this lane and build listens."""
    return f"d8.{lane}.{build}"


def worker_queue(worker: str, build: str) -> str:
    """Queue on which only this worker listens: for steps that prefer it."""
    return f"d8.@{worker}.{build}"


#: Where the master's own duties (flow passes, sweeps, watchers) travel. Never read by a worker.
MASTER_QUEUE = "d8.master"
