"""What must hold after every seed, read from the database itself."""

from __future__ import annotations

import dataclasses

from tests.faults.stage import Stage


@dataclasses.dataclass(frozen=True, kw_only=True)
class Findings:
    steps: int
    #: Steps without an outcome.
    lost: int
    #: Steps whose end was recorded more than once.
    recorded_twice: int
    #: Attempts that were granted to another build than the fleet's.
    wrong_build: int
    #: Runs that did not end well by themselves.
    needed_human: int
    details: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        return not (self.lost or self.recorded_twice or self.wrong_build or self.needed_human)


_LOST = """
SELECT s.id, s.run_id, s.key, s.state FROM steps s LEFT JOIN outcomes o ON o.step_id = s.id
WHERE s.run_id = ANY(%s) AND o.step_id IS NULL
"""
_TWICE = """
SELECT step_id, sum(n) FROM (
    SELECT step_id, count(*) AS n FROM events
    WHERE run_id = ANY(%s) AND name IN ('step_done', 'step_failed') GROUP BY step_id
) ends GROUP BY step_id HAVING sum(n) > 1
UNION ALL
SELECT step_id, count(*) FROM outcomes WHERE run_id = ANY(%s) GROUP BY step_id HAVING count(*) > 1
"""
#: The fleet's build at a claim is that of the last installation before it, by the events' own order.
_WRONG = """
SELECT e.step_id, a.attempt, a.build, a.worker FROM events e
JOIN attempts a ON a.step_id = e.step_id AND a.attempt = (e.data->>'attempt')::int
WHERE e.run_id = ANY(%s) AND e.name = 'step_claimed' AND a.build <> (
    SELECT b.data->>'build' FROM events b
    WHERE b.name = 'build_installed' AND b.seq < e.seq ORDER BY b.seq DESC LIMIT 1
)
"""
_ENDED = "SELECT id, state, error FROM runs WHERE id = ANY(%s) AND state <> 'done'"
_COUNT = "SELECT count(*) FROM steps WHERE run_id = ANY(%s)"


def examine(stage: Stage, runs: list[str]) -> Findings:
    """Read the truth about these runs."""
    with stage.sql() as cursor:

        def rows(query: str, times: int = 1) -> list[tuple[object, ...]]:
            cursor.execute(query, (runs,) * times)
            return list(cursor.fetchall())

        lost, twice, wrong, stuck = rows(_LOST), rows(_TWICE, 2), rows(_WRONG), rows(_ENDED)
        details = [f"{name} {row}" for name, found in
                   (("lost", lost), ("twice", twice), ("wrong build", wrong), ("needed a human", stuck))
                   for row in found[:5]]  # fmt: skip
        return Findings(
            steps=int(str(rows(_COUNT)[0][0])),
            lost=len(lost),
            recorded_twice=len(twice),
            wrong_build=len(wrong),
            needed_human=len(stuck),
            details=tuple(details),
        )
