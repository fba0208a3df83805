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
        rewrites: Sequence[tuple[Texts, tuple[str, ...]]] = (),
    ) -> None:
        super().__init__()
        #: Texts and the examples that they have not answered.
        self.trials = trials
        #: Texts and the mistakes from which each is to be rewritten.
        self.rewrites = rewrites


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
        #: Those of this round that nobody has told.
        self._unwritten: list[tuple[Texts, tuple[str, ...]]] = []

    def evaluate(self, batch: list[int], candidate: Texts, capture_traces: bool = False) -> Any:
        return self.batch_evaluate([(candidate, batch)])[0]

    def batch_evaluate(self, items: list[tuple[Texts, list[int]]]) -> list[Any]:
        """All pairs of one round together, so that a whole fleet can work on them."""
        from gepa.core.adapter import EvaluationBatch

        if self._unwritten:
            raise Wanted(rewrites=self._unwritten)
        found = [[self._memory.answer(texts, example) for example in batch] for texts, batch in items]
        if missing := _missing(items, found):
            raise Wanted(trials=missing)
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
            # The library asks for one after the other, and evaluates them together: until then this stands for
            # the text, so that all of a round are asked for at once.
            self._unwritten.append((candidate, mistakes))
            text = f"unwritten {len(self._unwritten)}"
        return {COMPONENT: text}


def _missing(
    items: Sequence[tuple[Texts, Sequence[int]]], found: Sequence[Sequence[tuple[float, str] | None]]
) -> list[tuple[Texts, tuple[int, ...]]]:
    """What was not told, each once: two children may be one text, and share examples."""
    seen: set[tuple[str, int]] = set()
    missing: list[tuple[Texts, tuple[int, ...]]] = []
    for (texts, batch), known in zip(items, found, strict=True):
        examples: list[int] = []
        for example, one in zip(batch, known, strict=True):
            if one is None and (texts[COMPONENT], example) not in seen:
                seen.add((texts[COMPONENT], example))
                examples.append(example)
        if examples:
            missing.append((texts, tuple(examples)))
    return missing


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
    proposals: int = 1,
) -> Any:
    """The library's result when it is done; until then it raises ``Wanted``. ``proposals``: rewritings in a
    round, each of a parent and with a minibatch of its own; 1 is GEPA as its paper has it."""
    from gepa.api import optimize
    from gepa.strategies.proposal_sampling import IndependentSampling

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
        sampling_strategy=IndependentSampling(proposals) if proposals > 1 else None,
    )
