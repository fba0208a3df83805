"""The file that a finished evolution leaves: an agent, with where it comes from and how good it is. Pure."""

from __future__ import annotations

from typing import Any, Literal

from master.darwin.report import Facts
from tasks.darwin_genome import Genome, Kind
from tasks.record import Record


class Shown(Record):
    """An example that the agent may show: its id is what the genome's demonstrations name."""

    id: int
    input: str
    expected: str


class Agent(Record):
    """Complete: with a model and this file alone, the agent answers as it did in the run."""

    format: Literal["d8-agent/2"] = "d8-agent/2"
    name: str
    task: Kind
    labels: tuple[str, ...]
    json_schema: str
    genome: Genome
    #: The whole pool if the genome retrieves its demonstrations, else the fixed ones.
    demonstrations: tuple[Shown, ...]
    #: Reference and sha256 of the model that answered in the run.
    model: str
    model_sha256: str
    #: The run, its seed, the genome's digest and ancestors.
    provenance: dict[str, Any]
    #: As the run's result has it: score with interval, comparison with the best seed.
    held_out: dict[str, Any]
    verdict: str


def agent(facts: Facts, found: dict[str, Any]) -> Agent:
    """The best genome of these facts; ``found`` is the run's result."""
    genome = facts.best.candidate.genome
    shown = genome.demonstrations
    ids = facts.corpus.ids("pool") if shown.retrieved else shown.fixed
    examples = facts.corpus.examples
    return Agent(
        name=facts.name,
        task=facts.corpus.kind,
        labels=facts.corpus.labels,
        json_schema=facts.corpus.json_schema,
        genome=genome,
        demonstrations=tuple(
            Shown(id=at, input=examples[at].input, expected=examples[at].expected) for at in ids
        ),
        model=facts.model,
        model_sha256=facts.model_sha256,
        provenance={
            "run": facts.run,
            "seed": facts.seed,
            "digest": facts.best.candidate.digest,
            "lineage": [
                {"id": one["id"], "parents": one["parents"], "operators": one["operators"]}
                for one in found["lineage"]
            ],
        },
        held_out=found["held_out"],
        verdict=found["verdict"]["text"],
    )
