"""Where ready steps go: pure decisions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from master.dispatch.placement import Candidate, Fleet, Host, place, why_unservable
from tasks.needs import Needs
from tasks.protocol import Gpu, Hardware


def hardware(**more: object) -> Hardware:
    values = {"machine": "x", "cpus": 4, "memory_mib": 8000, "disk_free_mib": 9000, **more}
    return Hardware.model_validate(values)


def host(name: str, *, idle: int = 1, lanes: tuple[str, ...] = ("cpu",), **more: object) -> Host:
    facts = {key: more.pop(key) for key in ("gpus", "models", "executors") if key in more}
    return Host(name=name, lanes=lanes, hardware=hardware(**facts), idle=idle, **more)  # type: ignore[arg-type]


def step(number: int, *, run: str = "a", priority: int = 0, **more: object) -> Candidate:
    values = {"lanes": ("cpu",), "task": "t", **more}
    return Candidate(step_id=number, run_id=run, priority=priority, **values)  # type: ignore[arg-type]


def test_higher_priority_goes_first() -> None:
    placed, _ = place([step(1), step(2, priority=5)], Fleet(free={"cpu": 1}))
    assert [one.step_id for one in placed] == [2]


def test_runs_take_turns() -> None:
    steps = [step(number, run="long") for number in range(10)] + [step(20, run="short")]
    placed, _ = place(steps, Fleet(free={"cpu": 3}))
    assert {one.step_id for one in placed} == {0, 20, 1}


def test_step_waits_for_its_best_lane_rather_than_take_a_worse_one() -> None:
    placed, unservable = place([step(1, lanes=("gpu", "cpu"))], Fleet(free={"gpu": 0, "cpu": 9}))
    assert (placed, unservable) == ([], [])


def test_single_worker_gets_everything_over_its_lane() -> None:
    placed, _ = place([step(1)], Fleet(free={"cpu": 5}, hosts=[host("one")]))
    assert placed[0].worker == ""


def test_worker_that_is_away_or_in_another_lane_makes_no_difference_to_a_single_one() -> None:
    others = [host("away", active=False), host("elsewhere", lanes=("gpu",))]
    for other in others:
        placed, _ = place([step(1)], Fleet(free={"cpu": 5}, hosts=[host("one"), other]))
        assert placed[0].worker == "", other.name


def test_worker_that_holds_the_model_goes_before_one_that_is_local_and_fast() -> None:
    fleet = Fleet(
        free={"cpu": 5},
        hosts=[host("near", local=True), host("holder", models=("m",))],
        paces={("t", "near"): 1.0, ("t", "holder"): 9.0},
    )
    placed, _ = place([step(1, needs=Needs(model="m"))], fleet)
    assert placed[0].worker == "holder"


def test_local_worker_goes_before_a_faster_one_elsewhere() -> None:
    fleet = Fleet(
        free={"cpu": 5},
        hosts=[host("far"), host("near", local=True)],
        paces={("t", "near"): 9.0, ("t", "far"): 1.0},
    )
    placed, _ = place([step(1)], fleet)
    assert placed[0].worker == "near"


def test_faster_worker_goes_first_and_an_untried_one_is_tried() -> None:
    fleet = Fleet(
        free={"cpu": 9}, hosts=[host("slow"), host("fast")], paces={("t", "slow"): 9.0, ("t", "fast"): 1.0}
    )
    assert place([step(1)], fleet)[0][0].worker == "fast"
    fleet = Fleet(free={"cpu": 9}, hosts=[host("known"), host("untried")], paces={("t", "known"): 0.5})
    assert place([step(1)], fleet)[0][0].worker == "untried"


def test_without_an_idle_slot_whoever_is_free_first_takes_it() -> None:
    fleet = Fleet(free={"cpu": 9}, hosts=[host("a", idle=1), host("b", idle=1)])
    placed, _ = place([step(number) for number in range(4)], fleet)
    assert sorted(one.worker for one in placed) == ["", "", "a", "b"]


def test_step_that_failed_on_one_worker_goes_to_another() -> None:
    fleet = Fleet(free={"cpu": 9}, hosts=[host("a", local=True), host("b")])
    assert place([step(1, avoid="a")], fleet)[0][0].worker == "b"


def test_step_that_only_some_may_run_never_goes_to_the_lane() -> None:
    card = Gpu(name="card", memory_mib=24_000)
    fleet = Fleet(
        free={"gpu": 9},
        hosts=[host("small", lanes=("gpu",)), host("big", lanes=("gpu",), idle=0, gpus=(card,))],
    )
    steps = [step(number, lanes=("gpu",), needs=Needs(gpu_memory_mib=20_000)) for number in range(3)]
    assert [one.worker for one in place(steps, fleet)[0]] == ["big", "big", "big"]


def test_step_for_one_worker_needs_no_place_in_a_lane() -> None:
    fleet = Fleet(free={"": 1}, hosts=[host("trial", idle=0)])
    placed, _ = place([step(1, only_worker="trial")], fleet)
    assert (placed[0].worker, placed[0].lane) == ("trial", "cpu")


def test_unservable_names_every_worker_and_why() -> None:
    text = why_unservable(step(1, lanes=("gpu",)), [host("a"), host("b")])
    assert "a: it serves cpu, the step wants gpu" in text
    assert "b: it serves cpu" in text
    assert why_unservable(step(1, lanes=("gpu",)), []) == "", "a fleet without workers may get some yet"
    assert why_unservable(step(1), [host("a", active=False)]) == "", "who is away may come back"


def test_step_for_one_worker_is_unservable_when_that_one_can_never_run_it() -> None:
    only_a = step(1, lanes=("gpu",), only_worker="a")
    text = why_unservable(only_a, [host("a"), host("b", lanes=("gpu",))])
    assert "a: it serves cpu, the step wants gpu" in text
    assert "b:" not in text
    assert why_unservable(only_a, [host("b")]) == "", "it is not known yet, and may come"


@given(
    st.lists(st.tuples(st.integers(-2, 2), st.sampled_from("abc")), max_size=30),
    st.integers(0, 10),
    st.lists(st.integers(0, 3), max_size=4),
)
def test_no_lane_is_overfilled_and_no_step_is_placed_twice(
    wanted: list[tuple[int, str]], free: int, idle: list[int]
) -> None:
    hosts = [host(f"h{number}", idle=slots) for number, slots in enumerate(idle)]
    steps = [step(number, run=run, priority=priority) for number, (priority, run) in enumerate(wanted)]
    placed, unservable = place(steps, Fleet(free={"cpu": free}, hosts=hosts))
    assert len(placed) == min(free, len(steps))
    assert len({one.step_id for one in placed}) == len(placed)
    assert not unservable
    for number, slots in enumerate(idle):
        assert sum(one.worker == f"h{number}" for one in placed) <= slots
