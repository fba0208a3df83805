"""A real evolution's rows, made by the real engine: only the answers are chance."""

from __future__ import annotations

import base64
import json
import random
import zlib
from datetime import UTC, datetime, timedelta

from sqlalchemy import insert

from master.darwin.dataset import parse
from master.darwin.engines.breed import Breeding
from master.darwin.engines.protocol import Evaluation, Trial
from master.darwin.engines.rules import Rules
from master.darwin.engines.steady import SteadyState
from master.darwin.genome import space_of
from master.darwin.preparing import blocks_of
from master.darwin.records import Told, save_candidates, save_tells
from master.darwin.split import divide
from master.darwin.tally import Cost, Tally
from master.darwin.variation import TextVariation
from master.store.artifacts import ArtifactFolder, record_artifact
from master.store.tables import carried
from tasks.darwin_genome import Genome
from tasks.files import ROOT
from tests.integration.web.stage import Stage

RUN = "darwin-bcdfgh"


def put_artifact(
    stage: Stage, data: bytes, name: str, run_id: str = "", media_type: str = "text/plain"
) -> str:
    digest = ArtifactFolder(stage.home / "artifacts").write(data)
    now = datetime.now(UTC)
    stage.write(
        lambda c: record_artifact(
            c, digest, name=name, media_type=media_type, size=len(data), run_id=run_id, now=now
        )
    )
    return digest


def put_evolution(stage: Stage, evals: int = 120, *, state: str = "running", run_id: str = RUN) -> int:
    """An evolution of prompts in which better genomes are found as it goes; returns the number of its best."""
    data = (ROOT / "examples" / "messages.jsonl").read_bytes()
    corpus = divide(parse(data, "messages.jsonl"), 3)
    variation = TextVariation(space_of(corpus), corpus)
    blocks = blocks_of(corpus, 24, 8, 3)
    engine = SteadyState(
        variation,
        Rules(
            seed=3,
            budget=evals,
            population=8,
            blocks=blocks,
            breeding=Breeding(crossover=0.6, pure_cross=0.3),
        ),
    )
    chance, tally = random.Random(5), Tally()
    candidates, tells = {}, []
    while (ask := engine.ask()) is not None:
        assert isinstance(ask, Trial)
        tally.ask(ask.number)
        candidates[ask.candidate.number] = (ask.candidate, variation.dump(ask.candidate.genome))
        outcome = Evaluation(
            scores=tuple(float(chance.random() < 0.3 + ask.candidate.number / 400) for _ in ask.examples),
            tokens=900 + ask.candidate.number,
            seconds=0.9,
        )
        engine.tell(ask.number, outcome)
        leader = engine.leader()
        place = tally.tell(ask.number, outcome, cached=False)
        tally.charge(Cost(micros=10_000, seconds=0.9))
        told = Told(
            told=place.at, number=ask.number, asked_after=place.asked_after, candidate=ask.candidate.number,
            outcome=outcome, best=leader[1] if leader else None, cached=False,
        )  # fmt: skip
        tells.append(told)
    sha256 = put_artifact(stage, corpus.model_dump_json().encode(), "corpus.json", run_id, "application/json")
    campaign = {"engine": engine.snapshot(), "tally": tally.dump()}
    packed = json.dumps({"prepared": {"corpus": sha256, "blocks": blocks}, "campaign": campaign}).encode()
    begun = datetime.now(UTC) - timedelta(seconds=evals)
    with stage.database.write() as connection:
        params = {"filename": "messages.jsonl", "budget": {"evals": 2 * evals}, "dataset": sha256}
        stage.put_run(connection, run_id, state, flow="darwin", params=params)
        save_candidates(connection, run_id, list(candidates.values()))
        for at, one in enumerate(tells):
            save_tells(connection, run_id, [one], begun + timedelta(seconds=at + 1))
        connection.execute(
            insert(carried).values(run_id=run_id, state=base64.b64encode(zlib.compress(packed)).decode())
        )
    best: Genome = engine.best()[0].candidate.genome
    assert best
    return engine.best()[0].candidate.number
