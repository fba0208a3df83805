"""A generation of CMA-ES, by the library."""

from __future__ import annotations

import warnings

from tasks.darwin_propose import Request, Result
from worker.handlers.context import Context


def handle(request: Request, context: Context) -> Result:
    """The next generation of the strategy that this seed and these losses make."""
    context.progress(0.0, f"generation {len(request.losses)} of CMA-ES")
    return propose(request)


def propose(request: Request) -> Result:
    """Plays the strategy back, then asks it once more."""
    import numpy as np

    with warnings.catch_warnings():
        # It says that it cannot plot.
        warnings.simplefilter("ignore")
        import cma

    # The library draws from NumPy's global generator, which is somebody else's, too.
    before = np.random.get_state()
    try:
        strategy = cma.CMAEvolutionStrategy(
            [(request.low + request.high) / 2] * request.size, request.sigma, options_of(request)
        )
        for losses in request.losses:
            strategy.tell(strategy.ask(), list(losses))
        if stopped := strategy.stop():
            return Result(vectors=(), stopped=", ".join(stopped))
        vectors = strategy.ask()
        # Bounds are kept by a transformation whose last rounding may step over them.
        return Result(
            vectors=tuple(
                tuple(min(request.high, max(request.low, float(value))) for value in one) for one in vectors
            )
        )
    finally:
        np.random.set_state(before)


def options_of(request: Request) -> dict[str, object]:
    """Of the library; all others are its own."""
    return {
        "bounds": [request.low, request.high],
        "popsize": request.population,
        "seed": request.seed,
        "verbose": -9,
        "verb_log": 0,
    }
