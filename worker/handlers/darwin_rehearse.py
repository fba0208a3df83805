"""Handler of ``darwin.rehearse``."""

from __future__ import annotations

import math
import time

from tasks.darwin_genome import Corpus
from tasks.darwin_rehearse import Request, Result
from tasks.errors import PermanentFailure
from worker.handlers.context import Context
from worker.handlers.darwin_own import run_own


def handle(request: Request, context: Context) -> Result:
    """Right answers, wrong ones and none at all; ``PermanentFailure`` says what the metric does wrong."""
    corpus = Corpus.model_validate_json(context.read_artifact(request.corpus))
    if unknown := [at for at in request.examples if not 0 <= at < len(corpus.examples)]:
        raise PermanentFailure(f"examples {unknown} do not exist: the corpus has {len(corpus.examples)}")
    began = time.monotonic()
    right = [(at, corpus.examples[at].expected) for at in request.examples]
    wrong = [(at, text) for at in request.examples for text in (_another(corpus, at), "")]
    found = run_own(request.metric, corpus, [*right, *wrong], context)
    scores = [one for one in found if not isinstance(one, str)]
    if complaints := [one for one in found if isinstance(one, str)]:
        raise PermanentFailure(
            f"the metric cannot be used: {complaints[0]} ({len(complaints)} of {len(found)} trials failed). "
            "It is given what was expected and the answer, which may be empty or nonsense, and must return a "
            "number from 0 (wrong) to 1 (right) for each"
        )
    mean_right = math.fsum(scores[: len(right)]) / len(right)
    mean_wrong = math.fsum(scores[len(right) :]) / len(wrong)
    if mean_right <= mean_wrong:
        raise PermanentFailure(
            f"the metric cannot be used: it gives the expected answers {mean_right:.2f} on average and wrong or "
            f"empty ones {mean_wrong:.2f}, so evolution would select for nonsense: give 1 to a right answer and "
            "less to others"
        )
    return Result(
        right=mean_right,
        wrong=mean_wrong,
        scores=tuple(scores[: len(right)]),
        seconds=round(time.monotonic() - began, 3),
    )


def _another(corpus: Corpus, at: int) -> str:
    """What another example expects that this one does not."""
    own = {corpus.examples[at].expected, *corpus.examples[at].also}
    return next((one.expected for one in corpus.examples if one.expected not in own), "")
