"""The sender against a real server that misbehaves: when it tries again, when it gives up, and whom it tells."""

import asyncio
import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from sending.clock import Clock
from sending.delivery import Delivery
from sending.delivery_log import DeliveryLog
from sending.http_client import HttpClient
from sending.log_reading import LogReader
from sending.policy import Policy, State
from sending.sender import Sender
from tests.misbehaving_server import CUT, HANG, OK, MisbehavingServer, Say
from tests.sending_clock import WaitingClock

LADDER = [0, 30, 150, 750, 4350, 18750]
IMPATIENT = Policy(timeout_seconds=0.6)
PATIENT = Policy(timeout_seconds=30)
DATE = datetime(2026, 11, 28, 12, tzinfo=UTC)


def delivery(name: str) -> Delivery:
    return Delivery(name, name, f'{{"id": "{name}"}}'.encode())


ONE = delivery("evt_1")


def send(
    url: str,
    deliveries: Iterable[Delivery],
    clock: Clock,
    *,
    policy: Policy = IMPATIENT,
    log: Path | None = None,
    **options: Any,
) -> None:
    async def run(opened: DeliveryLog | None) -> None:
        async with HttpClient(url) as client:

            async def post(each: Delivery) -> Any:
                return await client.post(each.body, [("x-kind", each.kind)], policy.timeout_seconds)

            await Sender(post, policy, clock, log=opened, **{"connections": 1, **options}).send(deliveries)

    if log is None:
        asyncio.run(run(None))
    else:
        with DeliveryLog(log) as opened:
            asyncio.run(run(opened))


def moments(script: Sequence[Say], policy: Policy = IMPATIENT) -> list[float]:
    """When a delivery is attempted whose posts are answered by *script*, in seconds after the first."""
    clock = WaitingClock()
    with MisbehavingServer(*script, now=clock.now) as server:
        send(server.url, [ONE], clock, policy=policy)
        times = server.times(ONE.body)
        assert b"a GET" not in server.attempts
    return [at - times[0] for at in times]


@pytest.mark.parametrize(
    "say",
    [
        Say(500), Say(503, {"retry-after": "5"}), Say(429), Say(429, {"retry-after": "soon"}), CUT,
        Say(302, {"location": "/elsewhere"}), Say(raw=b"SSH-2.0-OpenSSH_9.2\r\n"), Say(raw=b"HTTP/1.1 200"),
    ],
    ids=["500", "503", "429", "429-soon", "cut", "302", "no-http", "half-a-head"],
)  # fmt: skip
def test_the_ladder_is_climbed_to_the_second(say: Say) -> None:
    """After 30 s, 2 min, 10 min, 1 h and 4 h, whatever kept the event from arriving, and then no more."""
    assert moments([say]) == LADDER


@pytest.mark.parametrize("say", [HANG, Say(is_stuck=True)], ids=["silent", "stuck-in-the-body"])
def test_an_answer_that_does_not_come_in_time_is_none(say: Say) -> None:
    """The time is for the whole answer: a head alone is not enough."""
    assert moments([say, say, OK]) == LADDER[:3]


def test_nobody_at_the_address_is_tried_again_as_well() -> None:
    """No connection is no answer; the event goes out as soon as somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/webhooks/demo"
    clock = WaitingClock()
    seen: list[str | None] = []
    began = clock.now()
    send(url, [ONE], clock, observe=lambda _delivery, answer, _verdict: seen.append(answer.error))
    assert seen == ["no_connection"] * 6
    assert clock.now() - began == LADDER[-1]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 422])
def test_4xx_is_sent_once_and_somebody_is_told(status: int, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The log of the program names the event and the status, and the log of deliveries keeps it with its body."""
    with MisbehavingServer(Say(status)) as server:
        send(server.url, [ONE], WaitingClock(), log=tmp_path / "log")
        assert server.received == ["evt_1"]
    (refused,) = LogReader(tmp_path / "log").deliveries(State.refused, 10)
    assert (refused.event_id, refused.attempts, refused.last_answer, refused.due_at) == ("evt_1", 1, str(status), None)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert f"evt_1 was refused with {status}" in caplog.text


@pytest.mark.parametrize(
    ("asked", "waits"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0"}, 1),
        ({"date": format_datetime(DATE, True), "retry-after": format_datetime(DATE + timedelta(minutes=3), True)}, 180),
    ],
    ids=["seconds", "zero", "date"],
)
def test_429_is_tried_again_when_it_says(asked: dict[str, str], waits: float) -> None:
    """By number or by date; and however often, the ladder stays whole for what comes after it."""
    script = [Say(429, asked)] * 8 + [Say(500), OK]
    assert moments(script) == [*(waits * turn for turn in range(9)), waits * 8 + 30]


def test_429_for_ever_ends_after_a_day() -> None:
    """25 attempts an hour apart, and no more."""
    assert moments([Say(429, {"retry-after": "3600"})]) == [3600 * turn for turn in range(25)]


def test_what_is_given_up_is_told_and_listed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An error in the program's log, and a record with every attempt: when, what was answered, and how long it took."""
    clock = WaitingClock()
    began = clock.now()
    with MisbehavingServer(Say(500), HANG, Say(503), CUT, Say(500), Say(502)) as server:
        send(server.url, [ONE], clock, log=tmp_path / "log")
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "evt_1 is undeliverable after 6 attempts, the last answered 502" in caplog.text
    reader = LogReader(tmp_path / "log")
    (given_up,) = reader.deliveries(State.undeliverable, 10)
    assert (given_up.attempts, given_up.last_answer, given_up.first_at) == (6, "502", began)
    attempts = reader.attempts("evt_1")
    assert [each.at - began for each in attempts] == LADDER
    assert [each.number for each in attempts] == [1, 2, 3, 4, 5, 6]
    assert [each.status_code for each in attempts] == [500, None, 503, None, 500, 502]
    assert [each.error for each in attempts] == [None, "timeout", None, "connection_lost", None, None]
    assert [each.state for each in attempts] == [*[State.waiting] * 5, State.undeliverable]
    assert all(each.response_ms > 0 for each in attempts)
    assert attempts[1].response_ms >= 600


def test_others_go_on_while_one_waits() -> None:
    """An event that has to wait for four hours holds up nobody, even on a single connection."""
    others = [delivery(f"evt_{number}") for number in range(2, 30)]
    clock = WaitingClock()
    with MisbehavingServer(scripts={ONE.body: [Say(500), Say(500), OK]}, now=clock.now) as server:
        send(server.url, [ONE, *others], clock)
        last_of_others = max(server.times(each.body)[0] for each in others)
        assert last_of_others < server.times(ONE.body)[1]
        assert len(server.times(ONE.body)) == 3


def test_too_many_that_wait_stop_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a receiver that is away, no more is read than may wait: the rest stays where it comes from."""
    monkeypatch.setattr("sending.sender._MOST_WAITING", 5)
    clock = WaitingClock()
    read: list[float] = []

    def stream() -> Iterable[Delivery]:
        for number in range(12):
            read.append(clock.now())
            yield delivery(f"evt_{number}")

    began = clock.now()
    with MisbehavingServer(Say(503), OK) as server:
        send(server.url, stream(), clock)
        assert len(server.received) == 24
    assert sum(at == began for at in read) == 5


def test_what_is_sent_apart_goes_out_at_once() -> None:
    """Forty are under way together, though there is one connection for the others."""
    apart = [replace(delivery(f"apart_{number}"), is_apart=True) for number in range(40)]
    together = Say(together=Barrier(40, timeout=20))
    with MisbehavingServer(scripts={each.body: [together] for each in apart}) as server:
        send(server.url, [*apart, ONE], WaitingClock(), policy=PATIENT)
        assert sorted(server.received) == sorted(each.event_id for each in [*apart, ONE])
        assert not together.together.broken  # type: ignore[union-attr]


def test_what_is_sent_apart_is_tried_again_as_the_others_are() -> None:
    """By the same ladder, even when it fails after all others are done."""
    clock = WaitingClock()
    alone = replace(ONE, is_apart=True)
    with MisbehavingServer(Say(500), HANG, OK, now=clock.now) as server:
        send(server.url, [alone], clock)
        assert [at - server.times(ONE.body)[0] for at in server.times(ONE.body)] == LADDER[:3]


def test_an_error_of_ours_is_raised_as_it_is() -> None:
    """A transport that breaks is a defect, and not hidden in a group or taken for the receiver's."""

    async def broken(_delivery: Delivery) -> Any:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(Sender(broken, Policy(), WaitingClock()).send([ONE]))


@pytest.mark.parametrize("connections", [1, 8])
def test_a_rate_is_never_exceeded(connections: int) -> None:
    """However many connections there are, each first attempt waits for its turn; nothing is said of how late it is."""
    rate, several = 50, [delivery(f"evt_{number}") for number in range(30)]
    began = time.monotonic()
    with MisbehavingServer(OK, now=time.monotonic) as server:
        send(server.url, several, WaitingClock(), rate=rate, connections=connections, policy=PATIENT)
        times = sorted(server.times(each.body)[0] for each in several)
    # An alarm may ring a clock's tick early.
    assert all(at - began >= turn / rate - 0.001 for turn, at in enumerate(times))


@pytest.mark.parametrize("options", [{"connections": 0}, {"rate": 0}, {"rate": -1}])
def test_impossible_wishes_are_refused(options: dict[str, Any]) -> None:
    """No connection or no rate is told at once, before anything is sent."""
    with pytest.raises(ValueError, match="at least one connection"):
        send("http://127.0.0.1:9/", [], WaitingClock(), **options)
