"""What is kept of evolutions: candidates, trials, answers; and the agents that are in use."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, ForeignKey, Index, Integer, Table, Text, text

from master.store.metadata import metadata
from master.store.types import UtcDateTime

#: Every genome that was tried, with its parents.
candidates = Table(
    "darwin_candidates",
    metadata,
    Column("run_id", Text, ForeignKey("runs.id"), primary_key=True),
    # The number of the ask that made it.
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("digest", Text, nullable=False),
    # JSON; as the kind of genome dumps it.
    Column("genome", Text, nullable=False),
    # JSON lists.
    Column("parents", Text, nullable=False),
    Column("operators", Text, nullable=False),
)

#: Every ask that was told, in the order of tells: what plays an evolution back.
trials = Table(
    "darwin_trials",
    metadata,
    Column("run_id", Text, ForeignKey("runs.id"), primary_key=True),
    # Place in the order of tells, from 0.
    Column("told", Integer, primary_key=True, autoincrement=False),
    # Number of the ask, and how many had been told when it was made.
    Column("number", Integer, nullable=False),
    Column("asked_after", Integer, nullable=False),
    # The candidate that was tried; of a wish, its own number.
    Column("candidate", Integer, nullable=False),
    # evaluated, failed or proposed; and all of it as JSON.
    Column("kind", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    # Mean score of this trial, and of the best in the population after it; null where there is none.
    Column("score", Float),
    Column("best", Float),
    Column("tokens", Integer, nullable=False, default=0),
    # Of the worker.
    Column("seconds", Float, nullable=False, default=0.0),
    # Its answers were known from another run or genome.
    Column("cached", Boolean, nullable=False, default=False),
    Column("at", UtcDateTime, nullable=False),
)

#: Scores by (genome, example, model, sampling seed, metric), across runs. Never of what failed.
answers = Table(
    "darwin_answers",
    metadata,
    Column("key", Text, primary_key=True),
    # JSON: score, objectives, tokens, seconds, feedback.
    Column("answer", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

#: The owner asked these evolutions to end with what they have.
stops = Table(
    "darwin_stops",
    metadata,
    Column("run_id", Text, ForeignKey("runs.id"), primary_key=True),
    Column("by", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

#: Agents that other workloads may use by name. Of each name, one version is in use.
agents = Table(
    "darwin_agents",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("run_id", Text, nullable=False),
    # sha256 of the agent's file among the artifacts.
    Column("artifact", Text, nullable=False),
    Column("score", Float, nullable=False),
    Column("in_use", Boolean, nullable=False),
    Column("approved_by", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index(
        "uq_darwin_agents_in_use",
        "name",
        unique=True,
        sqlite_where=text("in_use"),
        postgresql_where=text("in_use"),
    ),
)
