from __future__ import annotations

from xml.etree import ElementTree

import pytest

from tests.unit.darwin.evaluators import nothing_helps
from tests.unit.darwin.test_flow import evolved

HOSTILE = 'a|b</svg><script>alert("&")</script>\x07'


def test_a_hostile_name_stays_text_in_chart_and_report() -> None:
    fake, found = evolved(generations=1, name=HOSTILE)

    svg = fake.artifacts[found["artifacts"]["fitness.svg"]].decode()
    tags = {element.tag.split("}")[1] for element in ElementTree.fromstring(svg).iter()}
    assert "script" not in tags
    assert "<script>" not in fake.artifacts[found["artifacts"]["report.md"]].decode()


def test_the_chart_has_a_point_for_every_generation_and_series() -> None:
    fake, found = evolved(generations=5)

    svg = ElementTree.fromstring(fake.artifacts[found["artifacts"]["fitness.svg"]].decode())
    circles = [element for element in svg.iter() if element.tag.endswith("circle")]
    assert len(circles) == 3 * 6


def test_the_prompt_in_the_report_ends_with_the_choices() -> None:
    _, found = evolved(generations=1)

    assert found["best"]["prompt"].endswith(
        "<one of: " + " | ".join(found["best"]["genome"]["label_words"]) + ">"
    )
    assert "message number" in found["best"]["prompt"]


@pytest.mark.parametrize("salt", ["a", "b"])
def test_a_best_genome_no_better_than_the_most_common_label_is_called_so(salt: str) -> None:
    _, found = evolved(lambda genome: nothing_helps(genome) / 2, salt=salt)

    assert found["held_out"]["best"]["accuracy"] <= found["held_out"]["majority_accuracy"]
    assert "Always giving the most common label would get" in found["verdict"]["text"]


def test_accuracies_lie_within_their_intervals() -> None:
    _, found = evolved()

    for who in ("seed", "best"):
        one = found["held_out"][who]
        assert one["low"] <= one["accuracy"] <= one["high"]
