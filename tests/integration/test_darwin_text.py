"""Evolutions on examples, from the data set to the report: the real flow, dispatch and database; the model
is chance decided by the genome alone, so that truth is known."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from master.approvals import Policy, Voter, decide, list_approvals
from master.approvals.records import ApprovalState
from master.darwin.agent import Agent
from master.darwin.promote import get_agent
from master.darwin.tables import trials
from master.settings import load_settings
from master.store import Database
from master.store.artifacts import ArtifactFolder
from tasks import darwin_evaluate, darwin_index, darwin_reflect
from tasks.darwin_genome import Corpus, Genome
from tests.rig import Rig, Work
from tests.unit.darwin.evaluators import Quality, dataset, evaluator, nothing_helps, retrieval_helps


class Kept(dict[str, bytes]):
    """The artifact folder as a mapping."""

    def __init__(self, folder: ArtifactFolder) -> None:
        super().__init__()
        self._folder = folder

    def __getitem__(self, digest: str) -> bytes:
        return self._folder.read(digest)

    def __setitem__(self, digest: str, data: bytes) -> None:
        self._folder.write(data)


class Bed:
    """One database on which evolutions run."""

    def __init__(self, folder: Path) -> None:
        self.database = Database(f"sqlite:///{folder / 'd8.sqlite3'}")
        self.settings = load_settings()
        self.artifacts = Kept(ArtifactFolder(self.settings.artifact_folder))
        self.asked: list[tuple[str, Any]] = []

    def evolve(
        self,
        quality: Quality = retrieval_helps,
        *,
        salt: str = "",
        alike: bool = False,
        workers: int = 1,
        critic_says: Callable[[int], str] | None = None,
        **changes: Any,
    ) -> Any:
        """The run's row at its end; ``self.asked`` then holds every request."""
        answer = evaluator(self.artifacts, quality, salt, alike)
        records = {one.TASK.name: one.Request for one in (darwin_evaluate, darwin_index, darwin_reflect)}

        def work(task: str, request: dict[str, Any], attempt: int) -> Work:
            read = records[task].model_validate(request)
            self.asked.append((task, read))
            if task == "darwin.reflect" and critic_says is not None:
                return Work(result=_reflected(critic_says(len(self.asked))).model_dump(mode="json"))
            try:
                return Work(result=answer(task, read).model_dump(mode="json"))
            except RuntimeError as error:
                return Work(result=None, error=str(error))

        self.rig = Rig(self.database, self.settings, work, workers=workers)
        sha256 = ArtifactFolder(self.settings.artifact_folder).write(dataset())
        params = {"dataset": sha256, "shard": 10, "examples": 30, "budget": {"generations": 3}, **changes}
        self.run_id = self.rig.start("darwin", params)
        return self.rig.run(self.run_id)

    def found(self, *given: Any, **changes: Any) -> dict[str, Any]:
        row = self.evolve(*given, **changes)
        assert (row.state, row.error) == ("done", "")
        result: dict[str, Any] = row.result
        return result


def _reflected(text: str) -> darwin_reflect.Result:
    return darwin_reflect.Result(
        text=text,
        prompt_tokens=100,
        generated_tokens=20,
        seconds=1.0,
        model="capable",
        model_sha256="c" * 64,
    )


@pytest.fixture
def bed(tmp_path: Path, d8_home: Any) -> Iterator[Bed]:
    made = Bed(tmp_path)
    yield made
    made.database.close()


def test_evolution_finds_the_genes_that_help_and_wins_on_held_out_examples(bed: Bed) -> None:
    found = bed.found(workers=4, budget={"generations": 9}, seed=1)

    assert found["best"]["genome"]["demonstrations"]["retrieved"] >= 3
    assert found["verdict"]["better"] is True
    assert found["verdict"]["text"].startswith("Better: ")
    assert found["held_out"]["best"]["score"] > found["held_out"]["seed"]["score"] + 0.15
    assert found["held_out"]["p_value"] < 0.05


def test_genomes_that_all_do_alike_get_the_verdict_not_better(bed: Bed) -> None:
    found = bed.found(nothing_helps, alike=True)

    assert found["verdict"]["better"] is False
    assert found["verdict"]["text"].startswith("Not better")


def test_pure_noise_is_seldom_taken_for_progress(bed: Bed) -> None:
    verdicts = [
        bed.found(nothing_helps, salt=f"noise {at}", budget={"generations": 1}, seed=at)["verdict"]
        for at in range(4)
    ]

    # Each comparison may be wrong in one of forty; selection luck alone would make most of them wrong.
    assert sum(one["better"] for one in verdicts) <= 1
    assert all(one["text"].startswith("Not ") for one in verdicts if not one["better"])


def test_the_same_seed_and_one_worker_give_the_same_result_and_another_seed_another(bed: Bed) -> None:
    results = [bed.found(seed=seed) for seed in (3, 3, 4)]

    for one in results:
        # The second has its answers from the first: that is all that differs.
        one["cost"].pop("cached")
        one["cost"].pop("busy_s")
        one["artifacts"].pop("report.md")
        one["artifacts"].pop("agent.json")
    assert results[0] == results[1]
    assert results[0]["lineage"] != results[2]["lineage"]


def test_no_genome_answers_the_same_example_twice(bed: Bed) -> None:
    found = bed.found()

    asked = [
        (request.genome.model_dump_json(), example)
        for task, request in bed.asked
        if task == "darwin.evaluate"
        for example in request.examples
    ]
    # But for the two of the first look, which nobody's score counts.
    assert len(asked) - len(set(asked)) <= 2
    assert found["cost"]["failed"] == 0


def test_selection_never_sees_a_held_out_example_and_shows_none(bed: Bed) -> None:
    found = bed.found()
    corpus_sha256 = next(request.corpus for task, request in bed.asked if task == "darwin.evaluate")
    corpus = Corpus.model_validate_json(bed.artifacts[corpus_sha256])
    evaluations = [request for task, request in bed.asked if task == "darwin.evaluate"]

    held_out = set(corpus.ids("held_out"))
    first_look = next(at for at, request in enumerate(evaluations) if held_out & set(request.examples))
    assert all(not held_out & set(request.examples) for request in evaluations[:first_look])
    assert all(set(request.examples) <= held_out for request in evaluations[first_look:])
    pool = set(corpus.ids("pool"))
    assert all(set(request.genome.demonstrations.fixed) <= pool for request in evaluations)
    assert found["held_out"]["examples"] == len(held_out)


def test_losing_genomes_answer_fewer_examples_than_winners(bed: Bed) -> None:
    found = bed.found(workers=2)

    answered: dict[str, int] = {}
    for task, request in bed.asked:
        if task == "darwin.evaluate":
            key = request.genome.model_dump_json()
            answered[key] = answered.get(key, 0) + len(request.examples)
    rejected_early = [count for count in answered.values() if count == 10]
    assert len(rejected_early) >= len(answered) // 4, sorted(answered.values())
    best = Genome.model_validate(found["best"]["genome"]).model_dump_json()
    assert answered[best] >= 30


def test_a_genome_whose_step_fails_is_marked_failed_and_not_scored(bed: Bed) -> None:
    def fails_without_demonstrations(genome: Genome) -> float:
        if genome.demonstrations.fixed == () and genome.demonstrations.retrieved == 0 and bed.asked[2:]:
            raise RuntimeError("the model server is out of memory")
        return retrieval_helps(genome)

    found = bed.found(fails_without_demonstrations)

    assert found["cost"]["failed"] > 0
    with bed.database.read() as connection:
        rows = connection.execute(select(trials).where(trials.c.kind == "failed")).all()
    assert len(rows) == found["cost"]["failed"]
    assert all("out of memory" in row.outcome and row.score is None for row in rows)
    assert not {one["id"] for one in found["lineage"]} & {f"c{row.candidate}" for row in rows}


def test_a_run_in_which_nothing_can_be_evaluated_fails_with_the_reason_after_one_step(bed: Bed) -> None:
    def always_fails(genome: Genome) -> float:
        raise RuntimeError("no such model: nowhere/nothing")

    row = bed.evolve(always_fails)

    assert row.state == "failed"
    assert "no such model: nowhere/nothing" in row.error
    assert [task for task, _ in bed.asked] == ["darwin.index", "darwin.evaluate"]


def test_a_bad_data_set_fails_the_run_before_any_step_is_asked_for(bed: Bed) -> None:
    bed.artifacts["x"] = b'{"input": "hello"}\n'
    sha256 = ArtifactFolder(bed.settings.artifact_folder).write(b'{"input": "hello"}\n')
    row = bed.evolve(dataset=sha256, filename="bad.jsonl")

    assert row.state == "failed"
    assert "bad.jsonl:1" in row.error
    assert bed.asked == []


def test_a_capable_model_rewrites_instructions_from_mistakes(bed: Bed) -> None:
    """The critic knows a word that helps; genomes that have it are right more often."""

    def wise(genome: Genome) -> float:
        return 0.9 if "carefully" in genome.instruction else 0.3

    found = bed.found(
        wise,
        critic_says=lambda number: f"```\nRead it carefully, version {number}. Labels: {{labels}}\n```",
        critic="openai:http://x#capable",
        workers=2,
    )

    reflections = [request for task, request in bed.asked if task == "darwin.reflect"]
    assert reflections
    assert all("<data>" in one.user for one in reflections)
    assert "carefully" in found["best"]["genome"]["instruction"]
    assert any("reflect" in one["operators"] for one in found["lineage"])


def test_the_run_leaves_a_report_a_chart_and_an_agent_that_can_be_read_back(bed: Bed) -> None:
    found = bed.found(name="<script>alert(1)</script>")

    files = {name: bed.artifacts[sha256] for name, sha256 in found["artifacts"].items()}
    assert set(files) == {"report.md", "fitness.svg", "agent.json"}
    assert found["verdict"]["text"] in files["report.md"].decode()
    assert b"<script>" not in files["report.md"] + files["fitness.svg"]
    agent = Agent.model_validate_json(files["agent.json"])
    assert agent.genome.model_dump(mode="json") == found["best"]["genome"]
    assert len(agent.demonstrations) >= agent.genome.demonstrations.retrieved
    assert json.loads(files["agent.json"])["provenance"]["run"] == bed.run_id


def test_an_agent_comes_into_use_only_when_the_owner_says_so(bed: Bed) -> None:
    assert bed.evolve(promote="intents").state == "waiting"
    with bed.database.read() as connection:
        (asked,) = list_approvals(connection, ApprovalState.PENDING)
    assert asked.type == "STRATEGIC_DECISION"

    owner = Voter(identity="token:owner", name="owner", door="cli")
    bed.rig.write(decide, asked.id, approve=True, voter=owner, policy=Policy(), note="", digest=asked.digest)
    row = bed.rig.run(bed.run_id)

    assert row.result["promotion"] == {"name": "intents", "approved": True, "version": 1}
    with bed.database.read() as connection:
        used = get_agent(connection, "intents")
    assert (used.version, used.run) == (1, bed.run_id)
    assert Agent.model_validate_json(bed.artifacts[used.artifact])


@pytest.mark.parametrize("engine", ["steady"])
def test_several_objectives_keep_a_front(bed: Bed, engine: str) -> None:
    found = bed.found(objectives="score,tokens,time", engine=engine)

    assert found["cost"]["evaluations"] == 4 * 8 * 3


def test_gepa_evolves_through_the_fleet(bed: Bed) -> None:
    def wise(genome: Genome) -> float:
        return 0.9 if "carefully" in genome.instruction else 0.3

    found = bed.found(
        wise,
        critic_says=lambda number: f"```\nRead it carefully, version {number}. Labels: {{labels}}\n```",
        critic="openai:http://x#capable",
        engine="gepa",
        budget={"evals": 40},
        workers=4,
    )

    assert "carefully" in found["best"]["genome"]["instruction"]
    assert found["cost"]["evaluations"] >= 20
