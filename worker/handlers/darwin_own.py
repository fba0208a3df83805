"""The owner's own metric: ``metric(expected, answer) -> float``, in the sandbox, once for many answers."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from tasks.darwin_genome import Corpus
from tasks.darwin_metrics import Metric, number_in, object_in
from tasks.errors import PermanentFailure
from tasks.python_execute import Request
from worker.handlers.context import Context
from worker.sandbox.execute import execute
from worker.settings import WorkerSettings, load_worker_settings

#: Runs beside the owner's code, on its side of the wall. An answer that it fails on costs the others
#: nothing.
_DRIVER = """
import traceback

names = {"__name__": "metric"}
exec(compile(inputs["source"], "<metric>", "exec"), names)
metric = names.get("metric")
if not callable(metric):
    raise TypeError("the file defines no function metric(expected, answer)")
values = []
for expected, answer in inputs["pairs"]:
    try:
        value = metric(expected, answer)
        if isinstance(value, bool) or isinstance(value, (int, float)) and 0 <= value <= 1:
            values.append(float(value))
        else:
            values.append("metric returned %r for the answer %.80r: return a number from 0 to 1"
                          % (value, answer))
    except Exception as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__)
                  if frame.filename == "<metric>"]
        values.append("metric raised %s: %s in line %d for the answer %.80r"
                      % (type(error).__name__, error, frames[-1].lineno if frames else 0, answer))
outputs = {"values": values}
"""


def run_own(
    metric: Metric, corpus: Corpus, answers: Sequence[tuple[int, str]], context: Context
) -> list[float | str]:
    """Per (example id, answer) its score, or what is wrong with it.

    ``PermanentFailure`` when the file as a whole cannot serve or goes over a limit.
    """
    source = context.read_artifact(metric.source).decode("utf-8")
    pairs = [
        (_value(corpus, corpus.examples[example].expected), _value(corpus, answer))
        for example, answer in answers
    ]
    settings = _settings()
    request = Request(
        code=_DRIVER, inputs={"source": source, "pairs": pairs}, trusted=metric.trusted, limits=metric.limits
    )
    try:
        result = execute(
            request,
            settings,
            settings.sandbox_owner(context.worker),
            lambda share: context.progress(min(0.99, share), "scoring"),
        )
    except PermanentFailure as error:
        raise PermanentFailure(f"the metric could not be run: {error}") from error
    values = result.outputs.get("values")
    if not isinstance(values, list) or len(values) != len(pairs):
        raise PermanentFailure("the metric changed what it was run by: define metric(expected, answer) alone")
    return [one if isinstance(one, str) else float(one) for one in values]


def _value(corpus: Corpus, text: str) -> object:
    """What the function is given: the object or the number where there is one, else the text itself."""
    if corpus.kind == "extract":
        found = object_in(text)
        return text if found is None else found
    if corpus.kind == "score":
        number = number_in(text)
        return text if number is None else number
    return text


@functools.cache
def _settings() -> WorkerSettings:
    return load_worker_settings()
