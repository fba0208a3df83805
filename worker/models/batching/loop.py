"""One life of transformers' batching loop: started once, and never used again after it ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from transformers import GenerationConfig
from transformers.generation.configuration_utils import ContinuousBatchingConfig

from worker.models.batching.size import CacheSize
from worker.models.native.plan import Tokens

#: How transformers is told that no token ends a text.
_NO_END = -1


class Loop:
    """A started ``ContinuousBatchingManager``. For one thread with a running asyncio loop, which hears
    the results; that thread must be a daemon.

    The manager's own thread is not made one, yet becomes one where a daemon starts it: else a process
    that forgets to stop it would never end.
    """

    def __init__(self, model: Any, size: CacheSize) -> None:
        config: Callable[..., Any] = GenerationConfig
        self._manager = model.init_continuous_batching(
            # Its own settings: the model's may ask for sampling or penalties.
            generation_config=config(do_sample=False, eos_token_id=_NO_END, pad_token_id=0),
            continuous_batching_config=_settings(size),
        )
        self._manager.start()

    @property
    def takes(self) -> bool:
        """Whether it takes further requests; false from when it is about to end."""
        return self._manager.background_thread_status.can_accept_new_requests() is None

    @property
    def ended(self) -> bool:
        """It will answer nobody anymore; what it had to say is said."""
        return not self._manager.is_running()

    @property
    def why(self) -> str:
        """What ended it."""
        error = self._manager.background_thread_status.fatal_error
        return f"{type(error).__name__}: {error}" if error is not None else "it stopped"

    def submit(
        self,
        name: str,
        prompt: Tokens,
        limit: int,
        ends: Iterable[int],
        heard: Callable[[Any], None],
        *,
        streams: bool,
    ) -> bool:
        """Have it generate so many tokens at most; ``name`` must be new. False where the loop has ended.

        ``heard`` is called with transformers' ``GenerationOutput``, for every token where it streams.
        """
        self._manager.register_result_handler(name, heard)
        taken = self._manager.add_request(
            input_ids=list(prompt),
            request_id=name,
            max_new_tokens=limit,
            streaming=streams,
            eos_token_id=sorted(ends) or _NO_END,
        )
        return taken is not None

    def cancel(self, name: str) -> None:
        """Free what it holds at the next step. No result will come, so the handler is taken away."""
        self._manager.cancel_request(name)
        self._manager.output_router.result_handlers.pop(name, None)

    def stop(self, timeout_s: float) -> None:
        """End after the present step, and free the cache."""
        self._manager.stop(block=True, timeout=timeout_s, hard_stop=True)
        self._manager.destroy()


def _settings(size: CacheSize) -> ContinuousBatchingConfig:
    return ContinuousBatchingConfig(
        page_size=size.page_tokens,
        num_blocks=size.pages + size.spare_pages,
        max_batch_tokens=size.batch_tokens,
        max_requests_per_batch=size.rows,
        # Where two steps overlap, a request cancelled between them ends the loop: its pages are looked
        # for after they were freed.
        use_async_batching=False,
        # A graph is captured wrongly while another thread, the engine's, uses the same GPU.
        use_cuda_graph=False,
        # It would fetch a kernel from the network and run it.
        auto_switch_to_flash=False,
    )
