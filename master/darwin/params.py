"""What an evolution is asked for."""

from __future__ import annotations

import enum

from pydantic import AwareDatetime, Field, model_validator

from master.darwin.engines.objectives import Objectives
from tasks.darwin_genome import Kind
from tasks.darwin_metrics import METRICS, Metric
from tasks.record import Record


class EngineName(enum.StrEnum):
    STEADY = "steady"
    GENERATIONAL = "generational"
    GEPA = "gepa"
    CMA = "cma"


class Budget(Record):
    """When it ends, whichever comes first."""

    #: Evaluations: a genome on a block of examples, or in its environment, once. 0: as many as
    #: ``generations`` of the population would take.
    evals: int = Field(default=0, ge=0, le=1_000_000)
    #: How often the population is renewed, in evaluations; counts where ``evals`` is 0.
    generations: int = Field(default=4, ge=0, le=200)
    #: What endpoints may charge, in millionths of a euro; 0: no limit.
    micros: int = Field(default=0, ge=0)
    until: AwareDatetime | None = None


class Evolving(Record):
    """What both kinds of evolution have: on examples, and in an environment."""

    name: str = Field(default="", max_length=100)
    #: The file's own name: for errors and titles.
    filename: str = Field(default="dataset.jsonl", min_length=1, max_length=200)
    engine: EngineName = EngineName.STEADY
    population: int = Field(default=8, ge=2, le=500)
    budget: Budget = Budget()
    objectives: Objectives = Objectives.SCORE
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    #: Steps in flight; 0: a few more than the fleet has slots. Fix it to repeat an evolution exactly.
    parallel: int = Field(default=0, ge=0, le=1000)
    #: The run whose evolution this one continues.
    resumes: str = Field(default="", max_length=100)


class ExamplesParams(Evolving):
    """``d8 darwin start DATASET``"""

    #: sha256 of the data set's artifact: JSONL, or CSV if ``filename`` ends so.
    dataset: str = Field(min_length=64, max_length=64)
    task: Kind = "classify"
    #: Columns; found by their usual names where they are not named.
    input_column: str = Field(default="", max_length=100)
    expected_columns: tuple[str, ...] = Field(default=(), max_length=64)
    split_column: str = Field(default="", max_length=100)
    #: "extract" only: JSON Schema of the object; made from the examples where there is none.
    json_schema: str = Field(default="", max_length=50_000)
    #: The task's usual one if it names none.
    metric: Metric | None = None
    #: Selection examples that a genome may have to answer; fewer if the data set has fewer.
    examples: int = Field(default=64, ge=8, le=5000)
    #: Held-out examples answered at the end, at most.
    held_out: int = Field(default=200, ge=8, le=5000)
    #: Examples in a step, and in a block on which genomes are raced; about.
    shard: int = Field(default=16, ge=1, le=512)
    #: Model references; "" means the fleet's settings.
    model: str = Field(default="", max_length=300)
    embedding_model: str = Field(default="", max_length=300)
    #: A capable model that rewrites instructions; "": none does.
    critic: str = Field(default="", max_length=300)
    #: Share of new genomes that it writes.
    reflect: float = Field(default=0.3, ge=0, le=1)
    #: GEPA: rewritings that it asks for at once; 1 is GEPA as its paper has it.
    proposals: int = Field(default=1, ge=1, le=64)
    #: Ask the owner whether the best is to be used under this name; "": do not ask.
    promote: str = Field(default="", pattern="^([a-z0-9][a-z0-9-]{0,62})?$")

    @model_validator(mode="after")
    def _fits(self) -> ExamplesParams:
        if self.engine is EngineName.CMA:
            raise ValueError("CMA-ES works on numbers: take steady, generational or gepa for prompts")
        if self.engine is EngineName.GEPA and not self.critic:
            raise ValueError("GEPA has a capable model rewrite prompts: name one as critic")
        if self.metric is not None and self.metric.name not in METRICS[self.task]:
            raise ValueError(
                f"the metric {self.metric.name} does not fit {self.task}: take {', '.join(METRICS[self.task])}"
            )
        return self

    @property
    def judged_by(self) -> Metric:
        """The metric that counts."""
        return self.metric or Metric(name=METRICS[self.task][0])


class EnvironmentParams(Evolving):
    """``d8 darwin start PROGRAM.py``"""

    #: sha256 of the program's artifact.
    environment: str = Field(min_length=64, max_length=64)
    #: Genomes in one step.
    lot: int = Field(default=1, ge=1, le=256)
    #: For one genome.
    seconds: float = Field(default=60.0, gt=0, le=3600)
    #: The owner wrote the program: it may run without Docker.
    trusted: bool = False
    #: The same genome always scores the same: answers are kept and used again.
    repeatable: bool = False
    #: CMA-ES: first step size, as a share of the range.
    sigma: float = Field(default=0.3, gt=0, le=10)

    @model_validator(mode="after")
    def _fits(self) -> EnvironmentParams:
        if self.engine is EngineName.GEPA:
            raise ValueError("GEPA rewrites prompts and needs a data set: take steady, generational or cma")
        return self
