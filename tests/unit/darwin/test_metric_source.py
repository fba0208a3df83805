from __future__ import annotations

import pytest

from master.darwin.metric_source import check_metric_source
from tasks.errors import InvalidInput


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        (b"def metric(expected, answer:\n    return 1", "m.py:1: not Python: '(' was never closed"),
        (b"import re\n\ndef score(a, b):\n    return 1", "m.py defines no function 'metric' (it has score)"),
        (b"\n\ndef metric(answer):\n    return 1", "m.py:3: metric takes (answer) and is called with two"),
        (b"def metric(a, b, c):\n    return 1", "m.py:1: metric takes (a, b, c)"),
        (b"def metric(a, b, *, scale):\n    return 1", "m.py:1: metric takes (a, b, scale)"),
        (b"def metric(a, b):\n    print(a == b)", "m.py:1: metric returns nothing"),
        (b"async def metric(a, b):\n    return 1", "m.py:1: metric is 'async'"),
        (b"x = 1\n# caf\xe9\n", "m.py:2: not valid UTF-8"),
        (b"x = 1\x00", "m.py:1: not Python"),
        (b"#" * 200_001, "m.py has 200001 bytes"),
    ],
)
def test_what_cannot_be_a_metric_is_refused_with_place_and_remedy(source: bytes, complaint: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_metric_source(source, "m.py")

    assert str(refused.value).startswith(complaint)


@pytest.mark.parametrize(
    "source",
    [
        b"def metric(expected, answer):\n    return float(expected == answer)",
        b"def metric(expected, answer, strict=True):\n    return 1.0",
        b"def metric(*both):\n    return 1.0",
        "def metric(expected, answer, /):\n    return 1.0  # ¿así?".encode(),
    ],
)
def test_what_can_be_a_metric_is_taken_as_it_is(source: bytes) -> None:
    assert check_metric_source(source, "m.py") == source.decode()


def test_looking_at_a_metric_runs_nothing_of_it() -> None:
    check_metric_source(b"raise SystemExit('ran')\ndef metric(a, b):\n    return 1", "m.py")
