"""An environment: the point where the sum of squares is least. See docs/darwin.md."""

GENOME = {"kind": "vector", "size": 5, "low": -5, "high": 5}
GOALS = ["min"]


def evaluate(genome: list[float]) -> float:
    """The less the better."""
    return sum(value * value for value in genome)
