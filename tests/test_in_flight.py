"""What the receiver holds at one time: never more than it is meant to, and nothing once all have their answers."""

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.errors import Refused
from ingest.in_flight import InFlight
from tests.raw_http import Connection, request_head
from tests.running_receiver import (
    CONFIGURATION,
    EVENT_FILES,
    SLOW_DISK,
    RunningReceiver,
    signature,
    until,
)

EVENT = EVENT_FILES[2].read_bytes()
ONE = 4096
"""What a request counts for besides its body."""


def is_refused(in_flight: InFlight, count: int = 0) -> bool:
    """Whether a new request, or *count* bytes more of one, are turned away."""
    try:
        if count:
            in_flight.grow(count)
        else:
            in_flight.admit()
    except Refused as refused:
        return refused.reason == "too_much_in_flight"
    return False


def test_from_the_high_mark_on_everyone_is_turned_away_until_the_low_one() -> None:
    """Not as soon as there is a little room again: whoever is being served is to get done."""
    in_flight = InFlight(100_000, 50_000)
    assert in_flight.admit() == ONE
    assert not is_refused(in_flight, 90_000)
    assert is_refused(in_flight, 10_000)
    assert is_refused(in_flight)
    in_flight.release(10_000)
    assert is_refused(in_flight)
    in_flight.release(90_000 - 50_000 + ONE - 1)
    assert is_refused(in_flight), "a byte over the low mark"
    in_flight.release(1)
    assert not is_refused(in_flight)
    assert not is_refused(in_flight, 40_000)


def test_a_flood_of_requests_without_bodies_counts_too() -> None:
    """Each takes memory of its own."""
    in_flight = InFlight(10 * ONE, 0)
    for _ in range(9):
        in_flight.admit()
    assert not is_refused(in_flight, 1)
    assert is_refused(in_flight, ONE)


@given(
    steps=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 40_000)), max_size=80),
    high=st.integers(10_000, 200_000),
    share=st.floats(0, 1),
)
@settings(deadline=None)
def test_the_sum_is_that_of_those_under_way(steps: list[tuple[int, int]], high: int, share: float) -> None:
    """Whatever comes, grows, is refused and leaves: never more than one piece over the mark, and in the end nothing."""
    in_flight = InFlight(high, int(high * share))
    held: dict[int, int] = {}
    for who, count in steps:
        try:
            if who not in held:
                held[who] = in_flight.admit()
            if count:
                held[who] += count
                in_flight.grow(count)
            else:
                in_flight.release(held.pop(who))
        except Refused:
            in_flight.release(held.pop(who, 0))
        assert in_flight.bytes == sum(held.values())
        assert in_flight.bytes <= high + ONE
    for count in held.values():
        in_flight.release(count)
    assert in_flight.bytes == 0


LIMITED = (
    CONFIGURATION
    + """
max_body_bytes = 1000000

[receiver]
in_flight_high_bytes = 2000000
in_flight_low_bytes = 500000
"""
)
LARGE = EVENT[:-1] + b" " * 400_000 + EVENT[-1:]


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[tuple[RunningReceiver, Path]]:
    """A receiver of little memory, and the file that holds up its disk."""
    gate = tmp_path / "gate"
    with RunningReceiver(tmp_path, LIMITED, before=SLOW_DISK.format(gate=gate)) as receiver:
        yield receiver, gate


def test_many_large_bodies_at_once_are_turned_away_for_now_and_none_is_lost(
    slow: tuple[RunningReceiver, Path],
) -> None:
    """While the disk is slow some get 429 and are told when to come again; then all is well, and nothing is held."""
    receiver, gate = slow
    answers: list[tuple[int, str | None]] = []

    def send() -> None:
        answer = receiver.post(LARGE)
        answers.append((answer.status_code, answer.headers.get("retry-after")))

    gate.touch()
    senders = [threading.Thread(target=send) for _ in range(20)]
    for sender in senders:
        sender.start()
    until(lambda: len(answers) >= 15)
    assert set(answers) == {(429, "1")}
    held = receiver.figures()("in_flight_bytes")
    assert held is not None
    assert 500_000 < held <= 2_000_000
    assert receiver.post(EVENT).status_code == 429, "not until the low mark is reached"
    gate.unlink()
    for sender in senders:
        sender.join()
    counts = Counter(status_code for status_code, _ in answers)
    assert counts[200] + counts[429] == 20
    assert 0 < counts[200] <= 4
    assert receiver.figures()("in_flight_bytes") == 0
    assert receiver.post(EVENT).status_code == 200
    staged = Counter(line.status_code for line in receiver.staged_after_stop())
    assert staged == {200: counts[200] + 1, 429: counts[429] + 1}


def test_bodies_that_never_come_to_their_end_are_counted_while_they_grow(slow: tuple[RunningReceiver, Path]) -> None:
    """Held by senders that stop in the middle, memory is short for others; once they leave, it is there again."""
    receiver, _ = slow
    connections = [Connection(receiver.url) for _ in range(6)]
    head = request_head("/webhooks/acme", [("Content-Length", str(len(LARGE))), *signature(LARGE).items()])
    for connection in connections[:5]:
        connection.send(head, LARGE[:390_000])
    until(lambda: (receiver.figures()("in_flight_bytes") or 0) > 5 * 390_000)
    connections[5].send(head, *(LARGE[start : start + 50_000] for start in range(0, 400_000, 50_000)), LARGE[400_000:])
    assert connections[5].answer().status_code == 429
    assert receiver.post(EVENT).status_code == 429
    for connection in connections:
        connection.reset()
    until(lambda: receiver.figures()("in_flight_bytes") == 0)
    assert receiver.post(EVENT).status_code == 200
    assert receiver.figures()("requests_total", source="acme", outcome="aborted", reason="", status="0") == 5
