"""GEPA's own engine, asked by playing it back: it runs until it wants to know something that nobody has
told, which is then asked; told, it runs again from its seed, and further. Pure but for the library's log.

The library (L. A. Agrawal et al., arXiv:2507.19457; ``gepa`` from PyPI, which needs nothing else) decides
everything: parents, minibatches, acceptance, its front. Its own resume holds no random state and so is not
exact; a playback is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

Texts = dict[str, str]
#: The one text of a genome that GEPA rewrites.
COMPONENT = "instruction"


class Wanted(BaseException):
    """What the library waits for. Not an Exception: it would catch one and go on without the answer."""

    def __init__(
        self,
        trials: Sequence[tuple[Texts, tuple[int, ...]]] = (),
        rewrite: tuple[Texts, tuple[str, ...]] | None = None,
    ) -> None:
        super().__init__()
        #: Texts and the examples that they have not answered.
        self.trials = trials
        #: Texts and the mistakes from which they are to be rewritten.
        self.rewrite = rewrite


class Memory(Protocol):
    """What was told."""

    def answer(self, texts: Texts, example: int) -> tuple[float, str] | None:
        """Score and feedback; None if it was not told."""
        ...

    def rewritten(self, texts: Texts, mistakes: tuple[str, ...]) -> str | None:
        """The new text; the old one if none was proposed; None if it was not told."""
        ...


class Adapter:
    """``gepa.core.adapter.GEPAAdapter``: answers from memory, or raises ``Wanted``."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def evaluate(self, batch: list[int], candidate: Texts, capture_traces: bool = False) -> Any:
        return self.batch_evaluate([(candidate, batch)])[0]

    def batch_evaluate(self, items: list[tuple[Texts, list[int]]]) -> list[Any]:
        """All pairs of one round together, so that a whole fleet can work on them."""
        from gepa.core.adapter import EvaluationBatch

        found = [[self._memory.answer(texts, example) for example in batch] for texts, batch in items]
        missing = [
            (texts, tuple(example for example, one in zip(batch, known, strict=True) if one is None))
            for (texts, batch), known in zip(items, found, strict=True)
        ]
        if any(examples for _, examples in missing):
            raise Wanted(trials=[one for one in missing if one[1]])
        answers = [[one for one in known if one is not None] for known in found]
        return [
            EvaluationBatch(
                outputs=[feedback for _, feedback in known],
                scores=[score for score, _ in known],
                trajectories=[feedback for _, feedback in known],
            )
            for known in answers
        ]

    def make_reflective_dataset(
        self, candidate: Texts, eval_batch: Any, components_to_update: list[str]
    ) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        mistakes = [{"Feedback": one} for one in eval_batch.trajectories if one]
        return dict.fromkeys(components_to_update, mistakes)

    def propose_new_texts(
        self,
        candidate: Texts,
        reflective_dataset: Mapping[str, Sequence[Mapping[str, Any]]],
        components_to_update: list[str],
    ) -> Texts:
        mistakes = tuple(str(one["Feedback"]) for one in reflective_dataset[COMPONENT])
        text = self._memory.rewritten(candidate, mistakes)
        if text is None:
            raise Wanted(rewrite=(candidate, mistakes))
        return {COMPONENT: text}


class Quiet:
    """``gepa.logging.logger.LoggerProtocol``: says nothing."""

    def log(self, message: str) -> None:
        pass


def run(
    memory: Memory,
    seed_texts: Texts,
    train: Sequence[int],
    val: Sequence[int],
    *,
    seed: int,
    most_metric_calls: int,
) -> Any:
    """The library's result when it is done; until then it raises ``Wanted``."""
    from gepa.api import optimize

    adapter: Any = Adapter(memory)
    return optimize(
        seed_candidate=dict(seed_texts),
        trainset=list(train),
        valset=list(val),
        adapter=adapter,
        max_metric_calls=most_metric_calls,
        seed=seed,
        logger=Quiet(),
        display_progress_bar=False,
        track_best_outputs=False,
        raise_on_exception=True,
    )
