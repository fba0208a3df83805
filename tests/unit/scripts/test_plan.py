from __future__ import annotations

import pytest

from scripts.environment import plan
from scripts.environment.plan import Action, Plan, VenvFacts

WANTED = {"master": "m1", "worker": "w1"}
HERE = "Linux-x86_64-cpython-311"


def test_first_run_creates_the_environment_with_all_groups() -> None:
    assert plan.plan(WANTED, VenvFacts(exists=False)) == Plan(
        action=Action.CREATE, missing=("master", "worker")
    )


def test_second_run_uses_it_again() -> None:
    facts = VenvFacts(exists=True, platform=HERE, installed={"master": "m1", "worker": "w1", "dev": "d1"})
    assert plan.plan(WANTED, facts) == Plan(action=Action.REUSE, missing=())


def test_changed_lock_installs_only_its_group() -> None:
    facts = VenvFacts(exists=True, platform=HERE, installed={"master": "m1", "worker": "w0"})
    assert plan.plan(WANTED, facts) == Plan(action=Action.INSTALL, missing=("worker",))


def test_environment_that_somebody_else_made_is_brought_up_to_the_locks() -> None:
    facts = VenvFacts(exists=True, platform=HERE)
    assert plan.plan(WANTED, facts) == Plan(action=Action.INSTALL, missing=("master", "worker"))


def test_interrupted_installation_is_done_again_from_nothing() -> None:
    facts = VenvFacts(exists=True, unfinished=True, platform=HERE, installed=WANTED)
    assert plan.plan(WANTED, facts) == Plan(action=Action.REBUILD, missing=("master", "worker"))


def test_environment_whose_python_is_gone_is_made_again() -> None:
    facts = VenvFacts(exists=True, platform="", installed=WANTED)
    assert plan.plan(WANTED, facts).action is Action.REBUILD


@pytest.mark.parametrize(
    ("flags", "groups"),
    [
        ([], ("master", "worker")),
        (["master"], ("master",)),
        (["worker"], ("worker",)),
        (["dev"], ("master", "worker", "dev")),
    ],
)
def test_flags_choose_groups(flags: list[str], groups: tuple[str, ...]) -> None:
    assert plan.wanted_groups(flags) == groups


def test_digest_depends_on_locks_platform_and_torch() -> None:
    digests = {
        plan.digest_of([b"lock"], platform=HERE, torch="cpu"),
        plan.digest_of([b"lock "], platform=HERE, torch="cpu"),
        plan.digest_of([b"lock"], platform="Linux-aarch64-cpython-311", torch="cpu"),
        plan.digest_of([b"lock"], platform=HERE, torch="cuda"),
        plan.digest_of([b"lo", b"ck"], platform=HERE, torch="cpu"),
    }
    assert len(digests) == 5


def test_machine_without_gpu_tries_the_small_builds_before_the_big_one() -> None:
    sources = plan.torch_sources("cpu", system="Linux", chosen="")
    assert [source.lock for source in sources] == [
        plan.TORCH_CPU_LOCK,
        plan.TORCH_CPU_LOCK,
        plan.TORCH_CUDA_LOCK,
    ]
    assert sources[0].index_url == ""
    assert sources[1].index_url == plan.TORCH_CPU_INDEX


def test_who_asks_for_the_cpu_build_never_gets_gigabytes_instead() -> None:
    sources = plan.torch_sources("cpu", system="Linux", chosen="cpu")
    assert all(source.lock == plan.TORCH_CPU_LOCK for source in sources)


def test_machine_with_gpu_gets_cuda_and_nothing_else() -> None:
    flavor = plan.torch_flavor(has_nvidia_gpu=True, chosen="")
    assert [source.lock for source in plan.torch_sources(flavor, system="Linux", chosen="")] == [
        plan.TORCH_CUDA_LOCK
    ]


def test_choice_of_the_user_goes_before_what_is_found() -> None:
    assert plan.torch_flavor(has_nvidia_gpu=True, chosen="cpu") == "cpu"
    assert plan.torch_flavor(has_nvidia_gpu=False, chosen="cuda") == "cuda"


@pytest.mark.parametrize("stamp", [None, [], "x", {"groups": 3}, {"groups": {"master": 7}}, {}])
def test_stamp_that_is_not_ours_counts_as_none(stamp: object) -> None:
    assert plan.read_stamp(stamp) == {}
