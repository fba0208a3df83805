"""From a model reference to a backend that answers; Torch is imported when a real model is first wanted."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tasks.build import build_id
from tasks.errors import PermanentFailure
from worker.models.artifacts import ModelFiles, find_files
from worker.models.backend import Backend, Ending
from worker.models.fake import FakeBackend
from worker.models.kept.backend import KeptBackend
from worker.models.kept.keys import Answerer, beside_sha256
from worker.models.kept.store import open_store
from worker.models.reference import ModelReference, ReferenceKind, parse_reference
from worker.models.remote.backend import OpenAIBackend
from worker.models.remote.http import Endpoint
from worker.models.remote.prices import FREE, Price
from worker.models.stats import Counters

if TYPE_CHECKING:
    from worker.models.native.runtime import TorchRuntime

log = logging.getLogger(__name__)

Purpose = Literal["text", "embedding"]

#: Requests to remote endpoints that are under way at once.
_REMOTE_CALLS = 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class RegistrySettings:
    """What the server's command line says about models."""

    #: References used where a request names none.
    text_model: str
    embedding_model: str
    #: Holds converted models.
    cache_folder: Path
    #: auto, float32, bfloat16 or float16.
    dtype: str = "auto"
    #: CPU threads of Torch; 0 leaves its own choice.
    threads: int = 0
    #: Memory for all loaded weights; 0 means half of the machine's, or four fifths of the GPU's.
    memory_mib: int = 0
    #: Key for OpenAI-compatible endpoints; never logged.
    api_key: str = dataclasses.field(default="", repr=False)
    #: Of models at endpoints, by reference; one that is not here costs nothing.
    prices: Mapping[str, Price] = dataclasses.field(default_factory=dict)
    #: Memory for kept answers; 0 keeps none.
    kept_mib: int = 0
    #: Redis through which several servers share them, or ""; never logged.
    cache_url: str = dataclasses.field(default="", repr=False)


class Registry:
    """The loaded models, the least recently used dropped when another needs their memory."""

    def __init__(self, settings: RegistrySettings, counters: Counters) -> None:
        self._settings = settings
        self._counters = counters
        self._lock = threading.Lock()
        self._loading = threading.Lock()
        #: Reference -> (backend, bytes of weights), least recently used first.
        self._backends: OrderedDict[str, tuple[Backend, int]] = OrderedDict()
        self._runtime: TorchRuntime | None = None
        self._calls = ThreadPoolExecutor(_REMOTE_CALLS, thread_name_prefix="remote-model")
        self._kept = open_store(settings.kept_mib, settings.cache_url) if settings.kept_mib > 0 else None
        # Read now: the process keeps the code that it started with.
        self._build = build_id() if self._kept is not None and self._kept.is_shared else ""

    def backend(self, reference: str, purpose: Purpose) -> Backend:
        """What answers for ``reference``, loaded if need be: this may take seconds."""
        default = self._settings.text_model if purpose == "text" else self._settings.embedding_model
        parsed = parse_reference(reference or default)
        found = self._find(parsed)
        if found is not None:
            return found
        # One at a time, while those already loaded go on answering.
        with self._loading:
            found = self._find(parsed)
            if found is not None:
                return found
            backend, needed = self._open(parsed)
            with self._lock:
                self._backends[parsed.text] = (backend, needed)
            return backend

    def loaded(self) -> tuple[str, ...]:
        with self._lock:
            return tuple(self._backends)

    def prefix_cache_bytes(self) -> int:
        """Memory in which all loaded models keep computed prefixes."""
        with self._lock:
            return sum(backend.prefix_cache_bytes for backend, _ in self._backends.values())

    def forget(self) -> None:
        """Give back the memory of what can be computed again."""
        with self._lock:
            backends = [backend for backend, _ in self._backends.values()]
        for backend in backends:
            backend.forget()
        if self._kept is not None:
            self._kept.clear()

    def stop(self) -> None:
        """End the computing threads, where there are any."""
        self._calls.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            backends = [backend for backend, _ in self._backends.values()]
        for backend in backends:
            if isinstance(backend, Ending):
                backend.stop()
        if self._kept is not None:
            self._kept.close()
        if self._runtime is not None:
            self._runtime.engine.stop()

    def _find(self, reference: ModelReference) -> Backend | None:
        with self._lock:
            if reference.text not in self._backends:
                return None
            self._backends.move_to_end(reference.text)
            return self._backends[reference.text][0]

    def _open(self, reference: ModelReference) -> tuple[Backend, int]:
        if reference.kind is ReferenceKind.FAKE:
            return self._keeping(FakeBackend(), beside=""), 0
        if reference.kind is ReferenceKind.OPENAI:
            endpoint = Endpoint(base_url=reference.target, api_key=self._settings.api_key)
            price = self._settings.prices.get(reference.text, FREE)
            return OpenAIBackend(reference, endpoint, self._calls, self._counters, price), 0
        started_at_s = time.monotonic()
        # Before Torch is imported: a wrong path is told at once.
        batching = reference.kind is ReferenceKind.BATCHING
        inner = parse_reference(reference.target) if batching else reference
        local = None if inner.kind is ReferenceKind.HUB else find_files(inner)
        runtime = self._torch()
        files = local if local is not None else runtime.download(reference.target)
        needed = runtime.memory_bytes(files)
        self._make_room(reference, files, needed, runtime.budget_bytes)
        backend: Backend
        if batching:
            backend = opened = runtime.open_batching(reference.text, files)
            needed += opened.size.bytes
        else:
            backend = runtime.open(reference.text, files)
        log.info("model_loaded model=%s seconds=%.2f", reference.text, time.monotonic() - started_at_s)
        return self._keeping(backend, beside="" if files.is_gguf else beside_sha256(files.path)), needed

    def _keeping(self, backend: Backend, *, beside: str) -> Backend:
        """``backend`` with its answers kept. Not for endpoints: they do not say which weights answer."""
        if self._kept is None:
            return backend
        told = backend.describe()
        answerer = Answerer(
            sha256=told.sha256,
            beside=beside,
            dtype=told.dtype,
            device=told.device,
            engine=type(backend).__name__,
            build=self._build,
        )
        return KeptBackend(backend, answerer, self._kept, self._counters)

    def _torch(self) -> TorchRuntime:
        if self._runtime is None:
            from worker.models.native.runtime import TorchRuntime

            self._runtime = TorchRuntime(
                cache_folder=self._settings.cache_folder,
                dtype=self._settings.dtype,
                threads=self._settings.threads,
                memory_mib=self._settings.memory_mib,
                counters=self._counters,
            )
        return self._runtime

    def _make_room(self, reference: ModelReference, files: ModelFiles, needed: int, budget: int) -> None:
        if needed > budget:
            raise PermanentFailure(
                f"the model {reference.text} ({files.path}) needs about {needed >> 20} MiB for its weights "
                f"and this model server may use {budget >> 20} MiB: choose a smaller model, a machine "
                "with more memory, or raise --model-memory-mib"
            )
        with self._lock:
            used = sum(size for _, size in self._backends.values())
            for text, (backend, size) in list(self._backends.items()):
                if used + needed <= budget:
                    return
                if size:
                    log.info("model_evicted model=%s mib=%d", text, size >> 20)
                    del self._backends[text]
                    used -= size
                    if isinstance(backend, Ending):
                        backend.retire()
