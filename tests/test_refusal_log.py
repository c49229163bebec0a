"""The record of refusals: complete at any pace that senders have, bounded at any that an attacker can have."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.delivery import Delivery, refused_line
from ingest.group_commit import StageWriter
from ingest.refusal_log import RefusalLog
from ingest.staging import Stage, StagedLine
from tests.raw_http import Connection, request_head
from tests.running_receiver import EVENT_FILES, RunningReceiver, staged_lines, until

EVENT = EVENT_FILES[2].read_bytes()
LINE = refused_line(Delivery("acme"), datetime(2026, 6, 3, tzinfo=UTC), 401, "bad_signature")


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Stand for `time.monotonic`."""
        return self.now


def logged(root: Path, act: Callable[[Callable[[int], None], Clock], None]) -> tuple[RefusalLog, list[StagedLine]]:
    """Let *act* record so many refusals and move the clock; return the log and what stands on the disk."""

    async def run() -> RefusalLog:
        writer, clock = StageWriter(root), Clock()
        await writer.start()
        log = RefusalLog(writer, clock)

        def record(count: int) -> None:
            for _ in range(count):
                log.record(LINE)

        act(record, clock)
        await writer.stop()
        return log

    return asyncio.run(run()), staged_lines(Stage(root).closed_segments())


def test_every_refusal_is_recorded_at_the_pace_of_senders(tmp_path: Path) -> None:
    """Thousands at once after a wrong secret, then a hundred a second for as long as it takes to be noticed."""

    def act(record: Callable[[int], None], clock: Clock) -> None:
        record(5_000)
        for _ in range(40):
            clock.now += 1.0
            record(100)

    log, lines = logged(tmp_path, act)
    assert (log.unrecorded, len(lines)) == (0, 9_000)
    assert lines[0] == LINE


def test_a_flood_is_recorded_in_part_and_counted_in_full(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The disk is for the genuine: beyond the bound a refusal is a number, with a warning a minute."""

    def act(record: Callable[[int], None], clock: Clock) -> None:
        record(12_000)
        clock.now += 59.0
        record(12_000)
        clock.now += 2.0
        record(1_000)

    with caplog.at_level(logging.WARNING):
        log, lines = logged(tmp_path, act)
    assert len(lines) == 10_000
    assert log.unrecorded == 15_000
    assert [each.message.split()[0] for each in caplog.records] == ["1", "14001"]


@given(steps=st.lists(st.tuples(st.integers(0, 15_000), st.floats(0, 300)), max_size=6))
@settings(max_examples=25, deadline=None)
def test_what_is_recorded_stays_within_the_rate(steps: list[tuple[int, float]]) -> None:
    """Never more than the burst and a hundred for each second; every refusal is either recorded or counted."""
    recorded = 0

    class Roomy:
        """A writer with room for everything: the bound must be the log's own."""

        def append_unawaited(self, lines: bytes) -> bool:
            """Take *lines*."""
            nonlocal recorded
            recorded += bool(lines)
            return True

    clock = Clock()
    log = RefusalLog(Roomy(), clock)  # type: ignore[arg-type]
    total = 0
    for count, seconds in steps:
        for _ in range(count):
            log.record(LINE)
        total += count
        assert recorded <= 10_000 + 100 * clock.now + 1
        assert recorded + log.unrecorded == total
        clock.now += seconds


def test_a_writer_that_is_full_or_stopped_is_no_reason_to_fail(tmp_path: Path) -> None:
    """Refusals that nobody takes are counted, and what they would have cost is not charged."""

    async def run() -> RefusalLog:
        writer = StageWriter(tmp_path)
        log = RefusalLog(writer, Clock())
        for _ in range(20_000):
            log.record(LINE)
        assert log.unrecorded == 20_000
        await writer.start()
        log.record(LINE)
        await writer.stop()
        log.record(LINE)
        return log

    assert asyncio.run(run()).unrecorded == 20_001
    assert len(staged_lines(Stage(tmp_path).closed_segments())) == 1


def test_a_flood_over_http_leaves_a_bounded_record_and_room_for_events(tmp_path: Path) -> None:
    """Twelve thousand refusals one behind another: each is answered and counted, and an event gets through."""
    request = request_head("/webhooks/acme", [("Content-Length", "2")]) + b"{}"
    with RunningReceiver(tmp_path) as receiver:
        with Connection(receiver.url) as connection:
            for _ in range(120):
                connection.send(request * 100)
                assert {connection.answer().status_code for _ in range(100)} == {401}
        assert receiver.post(EVENT).status_code == 200
        figures = receiver.figures()
        labels = {"source": "acme", "outcome": "refused", "reason": "missing_signature", "status": "401"}
        assert figures("requests_total", **labels) == 12_000
        unrecorded = figures("refusals_unrecorded_total")
        assert unrecorded is not None
        assert unrecorded > 0
        until(lambda: len(receiver.staged()) == 12_001 - unrecorded)
        assert Counter(line.outcome for line in receiver.staged()) == {
            "accepted": 1,
            "refused": 12_000 - unrecorded,
        }
