"""The file that a finished evolution leaves: an agent, with where it comes from and how good it is. Pure."""

from __future__ import annotations

from typing import Any, Literal

from master.darwin.report import Facts
from tasks.darwin_genome import Genome
from tasks.record import Record


class Shown(Record):
    """An example that the agent may show: its id is what the genome's demonstrations name."""

    id: int
    input: str
    label: str


class Agent(Record):
    """Complete: with a model and this file alone, the agent answers as it did in the run."""

    format: Literal["d8-agent/1"] = "d8-agent/1"
    name: str
    labels: tuple[str, ...]
    genome: Genome
    #: The whole pool if the genome retrieves its demonstrations, else the fixed ones.
    demonstrations: tuple[Shown, ...]
    #: One prompt as the model reads it, to look at.
    prompt: str
    #: Run, seed, held-out comparison, verdict and models: the run's own words.
    provenance: dict[str, Any]


def agent(facts: Facts, found: dict[str, Any]) -> Agent:
    """The best genome of the run as an agent. ``found`` is what ``report.result`` returned."""
    genome = facts.history.best.individual.genome
    shown = genome.demonstrations
    ids = facts.corpus.ids("pool") if shown.retrieved else shown.fixed
    examples = facts.corpus.examples
    return Agent(
        name=facts.name,
        labels=facts.corpus.labels,
        genome=genome,
        demonstrations=tuple(Shown(id=at, input=examples[at].input, label=examples[at].label) for at in ids),
        prompt=found["best"]["prompt"],
        provenance={
            "run": facts.run,
            **{key: found[key] for key in ("seed", "held_out", "verdict", "models", "lineage")},
        },
    )
