"""Evaluators that stand in for a model: chance decided by the genome alone, so that truth is known."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from tasks.darwin_evaluate import Outcome, Request, Result
from tasks.darwin_genome import Corpus, Genome, Index
from tasks.darwin_index import Result as IndexResult
from tasks.record import Record

#: From a genome to how often it is right, 0..1.
Quality = Callable[[Genome], float]

#: Answers a step: task name and request in, result out; raising ``RuntimeError`` fails the step.
Answer = Callable[[str, Any], Record]

LABELS = ("booking", "hours", "refund")


def dataset(count: int = 120) -> bytes:
    """JSONL of so many different texts, labels by turns."""
    rows = ({"input": f"message number {at}", "expected": LABELS[at % 3]} for at in range(count))
    return "\n".join(json.dumps(row) for row in rows).encode()


def retrieval_helps(genome: Genome) -> float:
    """Some genes are truly better: retrieved demonstrations most, calibration a little."""
    return 0.3 + 0.1 * genome.demonstrations.retrieved + 0.05 * genome.scoring.calibration


def nothing_helps(genome: Genome) -> float:
    return 0.34


def evaluator(artifacts: dict[str, bytes], quality: Quality, salt: str = "", alike: bool = False) -> Answer:
    """Answers ``darwin.index`` and ``darwin.evaluate``.

    An example is right when a number drawn from genome and example is below the genome's quality:
    the same in every process and whatever is asked beside it. With ``alike`` the number is drawn
    from the example alone.
    """

    def answer(task: str, request: Any) -> Record:
        corpus = Corpus.model_validate_json(artifacts[request.corpus])
        if task == "darwin.index":
            pool = corpus.ids("pool")
            index = Index(
                neighbors=tuple(
                    tuple(at for at in pool if at != one)[:14] for one in range(len(corpus.examples))
                )
            )
            data = index.model_dump_json().encode()
            digest = hashlib.sha256(data).hexdigest()
            artifacts[digest] = data
            return IndexResult(index=digest, model_sha256="e" * 64)
        return _evaluate(request, corpus, quality(request.genome), salt, alike)

    return answer


def _evaluate(request: Request, corpus: Corpus, chance: float, salt: str, alike: bool) -> Result:
    outcomes = []
    for example in request.examples:
        name = f"{salt}:{'' if alike else request.genome.model_dump_json()}:{example}"
        drawn = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 16**8
        correct = drawn < chance
        label = corpus.examples[example].label
        wrong = next(one for one in corpus.labels if one != label)
        outcomes.append(
            Outcome(
                example=example,
                answer=label if correct else wrong,
                score=float(correct),
                confidence=0.5,
                loss=0.5 if correct else 1.5,
            )
        )
    return Result(
        outcomes=tuple(outcomes),
        prompt_tokens=100 * len(outcomes),
        seconds=1.0,
        model="fake:model",
        model_sha256="f" * 64,
        dtype="float32",
    )
