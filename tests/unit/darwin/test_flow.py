from __future__ import annotations

import json
from typing import Any

import pytest

from master.darwin.agent import Agent
from master.darwin.flow import Params, evolve
from tasks.darwin_genome import Genome
from tasks.errors import InvalidInput, Unhealthy
from tests.unit.darwin.evaluators import Quality, dataset, evaluator, nothing_helps, retrieval_helps
from tests.unit.darwin.fake_flow import FakeFlow


def evolved(
    quality: Quality = retrieval_helps,
    *,
    shuffle: int = 0,
    salt: str = "",
    alike: bool = False,
    **changes: Any,
) -> tuple[FakeFlow, dict[str, Any]]:
    """A whole run on the fake fleet: the engine, to look into, and the run's result."""
    artifacts: dict[str, bytes] = {}
    fake = FakeFlow(evaluator(artifacts, quality, salt, alike), shuffle, artifacts)
    sha256 = fake.write_artifact("messages.jsonl", dataset(), "application/jsonl")
    params = Params.model_validate({"dataset": sha256, "generations": 6, "shard": 10, **changes})
    return fake, fake.run(evolve, params)


def test_evolution_finds_the_genes_that_help_and_wins_on_held_out_examples() -> None:
    _, found = evolved()

    assert found["best"]["genome"]["demonstrations"]["retrieved"] >= 4
    assert found["verdict"]["better"] is True
    assert found["verdict"]["text"].startswith("Better: ")
    assert found["held_out"]["best"]["accuracy"] > found["held_out"]["seed"]["accuracy"] + 0.2
    assert found["held_out"]["p_value"] < 0.05


def test_genomes_that_all_do_alike_get_the_verdict_not_better() -> None:
    # Not a copy of the genome reaches the draw: every genome is right on the same examples.
    _, found = evolved(nothing_helps, alike=True)

    assert found["verdict"]["better"] is False
    assert found["held_out"]["p_value"] == 1.0
    assert found["verdict"]["text"].startswith("Not better")


def test_pure_noise_is_seldom_taken_for_progress() -> None:
    verdicts = [evolved(nothing_helps, salt=f"noise {at}", generations=2)[1]["verdict"] for at in range(20)]

    # Each comparison may be wrong in one of forty; selection luck alone would make most of them wrong.
    assert sum(one["better"] for one in verdicts) <= 1
    assert all(one["text"].startswith("Not ") for one in verdicts if not one["better"])


def test_the_same_seed_gives_the_same_result_in_whatever_order_steps_are_answered() -> None:
    results = [evolved(shuffle=shuffle)[1] for shuffle in range(4)]

    assert all(one == results[0] for one in results)
    assert len(results[0]["lineage"]) > 1


def test_another_seed_takes_another_way() -> None:
    assert evolved(seed=1)[1]["lineage"] != evolved(seed=2)[1]["lineage"]


def test_no_genome_answers_the_same_example_twice() -> None:
    fake, found = evolved()

    asked = [
        (request.genome.model_dump_json(), example)
        for task, request in fake.requests.values()
        if task == "darwin.evaluate"
        for example in request.examples
    ]
    assert len(asked) == len(set(asked))
    assert found["cost"]["answers"] == len(asked)


def test_selection_never_sees_a_held_out_example() -> None:
    fake, _ = evolved()
    corpus = json.loads(fake.artifacts[fake.names["corpus.json"]])
    splits = [example["split"] for example in corpus["examples"]]

    for key, (_, request) in fake.requests.items():
        if key.startswith("evaluate:"):
            assert {splits[example] for example in request.examples} == {"selection"}
            assert all(splits[at] == "pool" for at in request.genome.demonstrations.fixed)
        if key.startswith("held_out:"):
            assert {splits[example] for example in request.examples} == {"held_out"}


def test_a_genome_whose_step_fails_is_marked_failed_and_not_scored() -> None:
    def fails_without_demonstrations(genome: Genome) -> float:
        if genome.demonstrations.fixed == () and genome.demonstrations.retrieved == 0:
            raise RuntimeError("the model server is out of memory")
        return retrieval_helps(genome)

    _, found = evolved(fails_without_demonstrations)

    seeds = found["generations"][0]
    assert seeds["failed"]
    assert set(seeds["failed"].values()) == {"the model server is out of memory"}
    assert seeds["evaluated"] == seeds["individuals"] - len(seeds["failed"])
    assert seeds["worst"] > 0
    assert not {one["id"] for one in found["lineage"]} & set(seeds["failed"])


def test_a_run_in_which_no_seed_can_be_evaluated_fails_with_the_reason() -> None:
    def always_fails(genome: Genome) -> float:
        raise RuntimeError("no such model: nowhere/nothing")

    with pytest.raises(Unhealthy, match=r"not one of the 8 genomes.*no such model: nowhere/nothing"):
        evolved(always_fails)


def test_without_breeding_the_best_seed_is_the_best_and_the_report_says_so() -> None:
    _, found = evolved(generations=0)

    assert found["best"]["id"] == found["best_seed"]["id"]
    assert found["verdict"]["better"] is False
    assert "no child did better" in found["verdict"]["text"]


def test_the_run_leaves_a_report_a_chart_and_an_agent_that_can_be_read_back() -> None:
    fake, found = evolved()

    files = {name: fake.artifacts[sha256] for name, sha256 in found["artifacts"].items()}
    assert set(files) == {"report.md", "fitness.svg", "agent.json"}
    assert found["verdict"]["text"] in files["report.md"].decode()
    agent = Agent.model_validate_json(files["agent.json"])
    assert agent.genome.model_dump(mode="json") == found["best"]["genome"]
    assert len(agent.demonstrations) >= agent.genome.demonstrations.retrieved


def test_progress_never_goes_back_within_a_pass_and_ends_at_one() -> None:
    fake, _ = evolved(generations=2)

    last_pass = fake.progressed[-5:]
    fractions = [fraction for fraction, _ in last_pass]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_a_bad_data_set_fails_the_run_before_any_step_is_asked_for() -> None:
    fake = FakeFlow(evaluator({}, nothing_helps))
    sha256 = fake.write_artifact("bad.jsonl", b'{"input": "hello"}\n', "application/jsonl")

    with pytest.raises(InvalidInput, match=r"bad\.jsonl:1: no field 'expected'"):
        fake.run(evolve, Params(dataset=sha256, filename="bad.jsonl"))
    assert fake.requests == {}
