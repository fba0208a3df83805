"""CMA-ES on a worker is the library's own, to the bit."""

from __future__ import annotations

import warnings

from tasks.darwin_propose import Request
from worker.handlers.darwin_propose import options_of, propose


def test_generations_asked_one_by_one_are_those_of_the_library_in_one_process() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that it cannot plot
        import cma
    request = Request(size=4, low=-5, high=5, sigma=2.0, population=8, seed=3)
    strategy = cma.CMAEvolutionStrategy([0.0] * 4, 2.0, options_of(request))
    losses: list[tuple[float, ...]] = []
    for _ in range(12):
        vectors = propose(request.model_copy(update={"losses": tuple(losses)})).vectors
        theirs = strategy.ask()
        assert [list(one) for one in vectors] == [[float(value) for value in one] for one in theirs]
        told = tuple(sum(value * value for value in one) for one in vectors)
        strategy.tell(theirs, list(told))
        losses.append(told)


def test_other_draws_between_two_generations_change_nothing() -> None:
    import numpy as np

    request = Request(size=3, low=0, high=1, sigma=0.3, population=6, seed=1)
    first = propose(request)
    np.random.rand(7)
    assert propose(request) == first
