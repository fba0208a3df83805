"""Webhooks on a real database, SQLite and Postgres, with a receiver that speaks HTTP: every event arrives, at least
once under one id, whatever breaks between."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from master.events import record_event
from master.fleet.notices import list_notices
from master.webhooks import store
from master.webhooks.deliver import deliver_due
from master.webhooks.fan_out import fan_out
from master.webhooks.records import DELAYS, GIVEN_UP_AFTER, Delivery, DeliveryState, NewWebhook
from master.webhooks.signing import Sealer, new_secret, sign
from master.webhooks.tables import webhook_deliveries
from tasks.errors import InvalidInput, NotFound, Refused, Unhealthy
from tests.integration.core.conftest import Bench
from tests.rig import Killed, killing

START = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Receiver:
    """A server that keeps what it gets and answers as it is told to."""

    def __init__(self) -> None:
        receiver = self
        self.got: list[tuple[dict[str, str], str]] = []
        #: Status and headers of the next answers; 200 when there is none.
        self.answers: list[tuple[int, dict[str, str]]] = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                receiver.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
                status, headers = receiver.answers.pop(0) if receiver.answers else (200, {})
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(b"because" if status >= 300 else b"")

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?x=1"

    def names(self) -> list[str]:
        return [json.loads(body)["type"] for _, body in self.got]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


class Hooked:
    """A bench with a webhook that leads to the receiver."""

    def __init__(self, bench: Bench, receiver: Receiver) -> None:
        self.bench, self.receiver = bench, receiver
        bench.now = START
        self.sealer = Sealer(bench.settings.secrets_folder / "webhooks.key")
        self.secret = new_secret()
        self.add("home")

    def add(self, name: str, **fields: Any) -> Any:
        wanted = {"name": name, "url": self.receiver.url, "events": ["run_*"], "allow_local": True, **fields}
        return self.bench.write(
            store.add_webhook, NewWebhook.model_validate(wanted), sealed=self.sealer.seal(self.secret), by="t"
        )

    def happen(self, *names: str) -> None:
        for name in names:
            self.bench.write(lambda c, now, name=name: record_event(c, name, now, run_id="r", n=1))

    def round(self) -> int:
        fan_out(self.bench.database, self.bench.now)
        return deliver_due(self.bench.database, self.sealer, self.bench.clock, jitter=lambda: 0.0)

    def listed(self, **wanted: Any) -> list[Delivery]:
        found: list[Delivery] = self.bench.read(lambda c: store.list_deliveries(c, **wanted))
        return sorted(found, key=lambda each: each.event_seq or 0)

    def hook(self) -> Any:
        return self.bench.read(lambda c: store.get_webhook(c, "home"))


@pytest.fixture
def hooked(bench: Bench, receiver: Receiver) -> Hooked:
    return Hooked(bench, receiver)


def test_what_is_wanted_arrives_signed_and_in_order(hooked: Hooked) -> None:
    hooked.happen("run_started", "step_done", "run_done")
    assert hooked.round() == 2
    assert hooked.receiver.names() == ["run_started", "run_done"]
    headers, body = hooked.receiver.got[0]
    assert abs(int(headers["webhook-timestamp"]) - START.timestamp()) < 1
    expected = sign(hooked.secret, headers["webhook-id"], int(headers["webhook-timestamp"]), body)
    assert headers["webhook-signature"] == expected
    told = json.loads(body)
    assert told["timestamp"] == START.isoformat()
    assert (told["data"]["run_id"], told["data"]["data"]) == ("r", {"n": 1})
    assert hooked.round() == 0
    assert [each.state for each in hooked.listed()] == ["delivered", "delivered"]


def test_what_happened_before_is_not_told(bench: Bench, receiver: Receiver) -> None:
    bench.write(lambda c, now: record_event(c, "run_done", now))
    assert Hooked(bench, receiver).round() == 0


def test_a_failure_is_tried_again_later_under_the_same_id_with_a_new_time(hooked: Hooked) -> None:
    hooked.receiver.answers = [(500, {}), (302, {"Location": hooked.receiver.url})]
    hooked.happen("run_done", "run_failed")
    assert hooked.round() == 0
    assert len(hooked.receiver.got) == 1, "a receiver in trouble is not sent the rest"
    assert hooked.round() == 0
    assert len(hooked.receiver.got) == 1, "and is left alone for a while"
    hooked.bench.pass_by(6)
    hooked.round()
    hooked.bench.pass_by(DELAYS[1].total_seconds() + 1)
    assert hooked.round() >= 1
    ids = {headers["webhook-id"] for headers, body in hooked.receiver.got if "run_done" in body}
    times = {headers["webhook-timestamp"] for headers, body in hooked.receiver.got if "run_done" in body}
    assert len(ids) == 1
    assert len(times) > 1
    hooked.bench.pass_by(DELAYS[1].total_seconds() + 1)
    hooked.round()
    assert [each.state for each in hooked.listed()] == ["delivered", "delivered"]
    assert hooked.hook().failing_since is None


def test_a_receiver_that_asks_for_time_gets_it(hooked: Hooked) -> None:
    hooked.receiver.answers = [(503, {"Retry-After": "3600"})]
    hooked.happen("run_done")
    hooked.round()
    hooked.bench.pass_by(3599)
    assert hooked.round() == 0
    hooked.bench.pass_by(2)
    assert hooked.round() == 1


def once(when: str, after: int = 0) -> Callable[[], str]:
    chances = iter([""] * after + [when])
    return lambda: next(chances, "")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("write", range(4))
def test_a_process_that_is_killed_loses_nothing(hooked: Hooked, when: str, write: int) -> None:
    """At each of its writes: the horizon, the fan-out, taking a delivery, recording what came of it."""
    hooked.happen("run_done")
    with killing(hooked.bench.database, once(when, write)), pytest.raises(Killed):
        hooked.round()
    hooked.bench.pass_by(61)
    hooked.round()
    assert [each.state for each in hooked.listed()] == ["delivered"]
    assert len({headers["webhook-id"] for headers, _ in hooked.receiver.got}) == 1


def test_rounds_that_race_make_one_delivery_of_an_event(hooked: Hooked) -> None:
    hooked.happen(*["run_done"] * 20)
    barrier = threading.Barrier(3)

    def race() -> None:
        barrier.wait()
        fan_out(hooked.bench.database, hooked.bench.now)

    threads = [threading.Thread(target=race) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(hooked.listed()) == 20


def test_an_event_that_commits_late_is_not_lost(hooked: Hooked) -> None:
    """Its number is smaller than one that everybody could see before: only Postgres lets two write at once."""
    database = hooked.bench.database
    if database.sqlite:
        pytest.skip("one writer at a time")
    with database.write() as slow:
        record_event(slow, "run_done", START, run_id="slow")
        hooked.happen("run_failed")
        with pytest.raises(Unhealthy, match="lock timeout"):
            fan_out(database, hooked.bench.now)
    assert hooked.round() == 2
    assert hooked.receiver.names() == ["run_done", "run_failed"]


def test_an_address_that_never_answers_is_switched_off_and_the_owner_told(hooked: Hooked) -> None:
    hooked.receiver.answers = [(500, {})] * 20
    hooked.happen("run_done")
    for delay in DELAYS:
        hooked.round()
        hooked.bench.pass_by(max(delay.total_seconds(), 601))
    hooked.round()
    assert [each.state for each in hooked.listed()] == ["failed"]
    hook = hooked.hook()
    assert not hook.enabled
    assert str(GIVEN_UP_AFTER.days) in hook.reason
    (notice,) = hooked.bench.read(list_notices)
    assert (notice.kind, notice.data["worker"]) == ("webhook_off", "webhook home")
    hooked.bench.write(store.enable_webhook, "home", enabled=True, by="ana")
    assert hooked.bench.read(list_notices) == []


def test_a_receiver_that_is_gone_is_believed_at_once(hooked: Hooked) -> None:
    hooked.receiver.answers = [(410, {})]
    hooked.happen("run_done")
    hooked.round()
    assert (hooked.hook().enabled, hooked.listed()[0].state) == (False, "failed")


def test_what_happened_while_it_was_off_is_not_told_and_what_waited_is(hooked: Hooked) -> None:
    hooked.receiver.answers = [(500, {})]
    hooked.happen("run_done")
    hooked.round()
    hooked.bench.write(store.enable_webhook, "home", enabled=False, by="ana")
    hooked.bench.pass_by(700)
    hooked.happen("run_failed")
    assert hooked.round() == 0
    hooked.bench.write(store.enable_webhook, "home", enabled=True, by="ana")
    hooked.round()
    assert hooked.receiver.names() == ["run_done", "run_done"]


def test_a_test_is_sent_even_where_it_is_off(hooked: Hooked) -> None:
    hooked.bench.write(store.enable_webhook, "home", enabled=False, by="ana")
    sent = hooked.bench.write(store.ping_webhook, "home", by="ana")
    assert hooked.round() == 1
    assert hooked.receiver.names() == ["webhook_test"]
    assert hooked.bench.read(lambda c: store.get_delivery(c, sent.id)).state == "delivered"


def test_a_delivery_is_made_again_on_request(hooked: Hooked) -> None:
    hooked.happen("run_done")
    hooked.round()
    (delivery,) = hooked.listed()
    hooked.bench.write(store.redeliver, delivery.id)
    assert hooked.round() == 1
    (one, two) = [headers["webhook-id"] for headers, _ in hooked.receiver.got]
    assert one == two == delivery.id


def test_an_address_that_may_not_be_is_not_connected_to(hooked: Hooked) -> None:
    hooked.add("strict", allow_local=False)
    hooked.happen("run_done")
    hooked.round()
    (refused,) = hooked.listed(webhook="strict")
    assert (refused.attempts, refused.status) == (1, 0)
    assert "master itself" in refused.error
    assert len(hooked.receiver.got) == 1, "only the one that may"


def test_names_are_given_once_and_a_removed_one_leaves_nothing(hooked: Hooked) -> None:
    hooked.happen("run_done")
    hooked.round()
    with pytest.raises(Refused, match="already"):
        hooked.add("home")
    for wrong in ({"url": "ftp://example.com/"}, {"url": "https://u:p@example.com/"}):
        with pytest.raises(InvalidInput):
            hooked.add("other", **wrong)
    hooked.bench.write(store.remove_webhook, "home", by="ana")
    assert hooked.listed() == []
    with pytest.raises(NotFound):
        hooked.hook()


def test_old_deliveries_are_dropped_and_what_waits_is_not(hooked: Hooked) -> None:
    hooked.happen("run_done")
    hooked.round()
    hooked.happen("run_failed")
    fan_out(hooked.bench.database, hooked.bench.now)
    hooked.bench.pass_by(timedelta(days=15).total_seconds())
    assert hooked.bench.write(store.forget_deliveries) == 1
    assert [each.state for each in hooked.listed()] == [DeliveryState.PENDING]


def test_the_secret_is_not_in_the_database(hooked: Hooked) -> None:
    hooked.happen("run_done")
    hooked.round()
    kept = hooked.bench.read(lambda c: str(c.execute(text("SELECT * FROM webhooks")).all()))
    kept += hooked.bench.read(lambda c: str(c.execute(select(webhook_deliveries)).all()))
    assert hooked.secret not in kept
    assert hooked.secret[6:] not in kept


def test_a_receiver_that_drips_is_cut_off(hooked: Hooked, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte at a time would keep every single read within its time."""
    import socket

    monkeypatch.setattr("master.webhooks.send._WHOLE_S", 0.3)
    listening = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def drip() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            while not stop.wait(0.05):
                try:
                    connection.sendall(b"X")
                except OSError:
                    return

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    hooked.add("slow", url=f"http://127.0.0.1:{listening.getsockname()[1]}/", events=["slow"])
    hooked.happen("slow")
    arrived = hooked.round()
    stop.set()
    thread.join()
    listening.close()
    assert arrived == 0
    assert hooked.listed(webhook="slow")[0].status == 0
