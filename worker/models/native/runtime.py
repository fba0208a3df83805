"""All of Torch in one place: its settings, the engine's thread, and opening a model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psutil
import torch
from transformers.utils import logging as transformers_logging

from worker.models.artifacts import ModelFiles
from worker.models.batching import load as batching
from worker.models.batching.backend import BatchingBackend
from worker.models.native import load
from worker.models.native.backend import CausalBackend, SentenceBackend
from worker.models.native.causal import CausalModel
from worker.models.native.engine import Engine
from worker.models.stats import Counters
from worker.models.wire import DescribeReply

#: A GGUF file's weights, de-quantized to 16 bits, take up so many times the file at most: 16 bits
#: against the 4.5 of Q4_0.
_GGUF_GROWTH = 4


class TorchRuntime:
    """Torch set up for this process; made once, when the first real model is wanted."""

    def __init__(
        self, *, cache_folder: Path, dtype: str, threads: int, memory_mib: int, counters: Counters
    ) -> None:
        if threads:
            torch.set_num_threads(threads)
        _quiet()
        self.engine = Engine()
        self._cache_folder = cache_folder
        self._counters = counters
        self._known: dict[str, load.Known] = {}
        self._placement = load.choose_placement(dtype)
        self.budget_bytes = memory_mib * 2**20 or _default_budget_bytes(self._placement.device)

    def download(self, name: str) -> ModelFiles:
        return load.download(name)

    def memory_bytes(self, files: ModelFiles) -> int:
        """About what the weights will take up. Stored weights are mostly of 16 bits."""
        return files.bytes * (self._placement.dtype.itemsize // 2) * (_GGUF_GROWTH if files.is_gguf else 1)

    def open(self, reference: str, files: ModelFiles) -> CausalBackend | SentenceBackend:
        """Load the model and put it behind a backend."""
        folder = load.ready_folder(files, self._cache_folder)
        known = self._known.setdefault(files.sha256, load.Known())
        if self._placement.device.type == "cpu":
            model = self.engine.call(lambda: load.load(folder, self._placement, known))
        else:
            model = load.load(folder, self._placement, known)  # the others go on meanwhile
        description = self._describe(reference, files)
        if isinstance(model, CausalModel):
            return CausalBackend(model, description, self.engine, self._counters)
        return SentenceBackend(model, description, self.engine, self._counters)

    def open_batching(self, reference: str, files: ModelFiles) -> BatchingBackend:
        """Load the model and have transformers batch its requests."""
        folder = load.ready_folder(files, self._cache_folder)
        if self._placement.device.type == "cpu":
            loaded = self.engine.call(lambda: batching.load(folder, self._placement))
        else:
            loaded = batching.load(folder, self._placement)
        spare_bytes = self.budget_bytes - self.memory_bytes(files)
        return batching.open_backend(loaded, self._describe(reference, files), spare_bytes, self._counters)

    def _describe(self, reference: str, files: ModelFiles) -> DescribeReply:
        return DescribeReply(
            model=reference,
            sha256=files.sha256,
            dtype=self._placement.dtype_name,
            device=_device_name(self._placement.device),
        )


def _quiet() -> None:
    """No progress bars in the log."""
    disable: Callable[[], None] = transformers_logging.disable_progress_bar
    disable()


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def _default_budget_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory * 0.8)
    return psutil.virtual_memory().total // 2
