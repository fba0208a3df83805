"""Handler of ``darwin.index``."""

from __future__ import annotations

import numpy

from tasks.darwin_genome import MAX_DEMONSTRATIONS, MAX_RETRIEVED, Corpus, Index
from tasks.darwin_index import Request, Result
from worker.handlers.context import Context

#: Texts per call to the embedding model: enough to fill a batch, few enough to report progress.
_BATCH = 64
#: A genome may also hold neighbors fixed; so many more are listed that retrieval still finds its own.
_LISTED = MAX_RETRIEVED + MAX_DEMONSTRATIONS


def handle(request: Request, context: Context) -> Result:
    corpus = Corpus.model_validate_json(context.read_artifact(request.corpus))
    texts = [example.input for example in corpus.examples]
    vectors: list[list[float]] = []
    for start in range(0, len(texts), _BATCH):
        vectors.extend(context.models.embed(request.model, texts[start : start + _BATCH]))
        context.progress(len(vectors) / len(texts), f"{len(vectors)} of {len(texts)} texts embedded")
    index = Index(neighbors=nearest(vectors, corpus.ids("pool"), _LISTED))
    digest = context.write_artifact("index.json", index.model_dump_json().encode(), "application/json")
    return Result(
        index=digest,
        model_sha256=context.models.describe(request.model or "embedded:minilm").get("sha256", ""),
    )


def nearest(vectors: list[list[float]], pool: tuple[int, ...], count: int) -> tuple[tuple[int, ...], ...]:
    """Per vector, the ``count`` pool ids of highest cosine similarity, best first, itself left out.

    Vectors are of unit length, so the cosine is the dot product. Ties go to the lower id, so that
    the same vectors give the same lists.
    """
    matrix = numpy.asarray(vectors, dtype=numpy.float32)
    ids = numpy.asarray(pool, dtype=numpy.int64)
    lists: list[tuple[int, ...]] = []
    for at, vector in enumerate(matrix):
        ranked = ids[numpy.argsort(-(matrix[ids] @ vector), kind="stable")]
        lists.append(tuple(int(other) for other in ranked[: count + 1] if other != at)[:count])
    return tuple(lists)
