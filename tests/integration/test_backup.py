"""A backup and its restoration on real databases, with a step that is running."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from master.backup.archive import check_archive
from master.backup.make import make_backup
from master.backup.restore import restore
from master.backup.rows import all_tables
from master.dispatch.claims import record_report
from master.store import Database
from master.store.tables import outcomes
from tasks.errors import InvalidInput, Refused, StaleToken
from tests.integration.core.conftest import Bench, bench, database, postgres, result_of

__all__ = ["bench", "database", "postgres"]


def rows_of(database: Database) -> dict[str, list[Any]]:
    with database.read() as connection:
        return {
            table.name: sorted(map(repr, connection.execute(select(table)).all())) for table in all_tables()
        }


def back_up(bench: Bench, target: Path, passphrase: str = "") -> None:
    make_backup(
        bench.settings,
        bench.database,
        target,
        build="b",
        now=bench.now,
        passphrase=passphrase,
        with_secrets=True,
    )


def bring_back(
    bench: Bench, source: Path, target: Database, passphrase: str = "", force: bool = False
) -> None:
    manifest = check_archive(source, passphrase, lambda _: None)
    restore(bench.settings, target, source, manifest, passphrase=passphrase, now=bench.now, force=force)


def test_every_row_comes_back_and_goes_through_the_other_database(bench: Bench, tmp_path: Path) -> None:
    bench.start(steps=3)
    bench.granted(bench.publish()[0].ticket)
    back_up(bench, tmp_path / "one", "secret")
    other = Database(f"sqlite:///{tmp_path / 'other.sqlite3'}")
    bring_back(bench, tmp_path / "one", other, "secret")
    assert rows_of(other) == rows_of(bench.database)
    before = rows_of(bench.database)
    back = Bench(other, bench.settings)
    back_up(back, tmp_path / "two")
    bring_back(bench, tmp_path / "two", bench.database, force=True)
    assert rows_of(bench.database) == before
    assert (tmp_path / "one").stat().st_mode & 0o777 == 0o600
    other.close()


def test_claims_of_the_lost_time_are_stale_and_each_step_ends_once(bench: Bench, tmp_path: Path) -> None:
    bench.start(steps=2)
    held, other = (posting.ticket for posting in bench.publish()[:2])
    kept = bench.granted(held)
    back_up(bench, tmp_path / "one")
    lost = bench.granted(other, claim="claim-02")
    bring_back(bench, tmp_path / "one", bench.database, force=True)
    again = bench.granted(other, claim="claim-03")
    assert (again.attempt, again.token != lost.token) == (lost.attempt, True)
    with pytest.raises(StaleToken):
        bench.write(record_report, result_of(lost))
    bench.write(record_report, result_of(kept))
    bench.write(record_report, result_of(again))
    ended = bench.read(lambda c: c.execute(select(outcomes.c.step_id)).scalars().all())
    assert sorted(ended) == sorted([kept.step, again.step])


def test_full_database_is_left_alone_and_a_damaged_file_changes_nothing(bench: Bench, tmp_path: Path) -> None:
    back_up(bench, tmp_path / "one")
    before = rows_of(bench.database)
    with pytest.raises(Refused, match="not empty"):
        bring_back(bench, tmp_path / "one", bench.database)
    data = (tmp_path / "one").read_bytes()
    (tmp_path / "one").write_bytes(data[: len(data) // 2])
    with pytest.raises(InvalidInput, match=r"damaged|cut off"):
        bring_back(bench, tmp_path / "one", bench.database, force=True)
    assert rows_of(bench.database) == before


def test_numbers_that_were_given_once_are_not_given_again(bench: Bench, tmp_path: Path) -> None:
    bench.start(steps=1)
    bench.write(record_report, result_of(bench.granted(bench.publish()[0].ticket)))
    last = bench.read(lambda c: c.execute(select(outcomes.c.seq)).scalar_one())
    with bench.database.write() as connection:
        connection.execute(outcomes.delete())
    back_up(bench, tmp_path / "one")
    bring_back(bench, tmp_path / "one", bench.database, force=True)
    bench.start(steps=1)
    ticket = bench.publish()[0].ticket
    bench.write(record_report, result_of(bench.granted(ticket, claim="claim-09")))
    assert bench.read(lambda c: c.execute(select(outcomes.c.seq)).scalar_one()) > last
