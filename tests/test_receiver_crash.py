"""A receiver killed between two instructions: what it acknowledged is in the stage, whole, and in raw once."""

import asyncio
import os
import random
import signal
import threading
from collections import defaultdict
from pathlib import Path

import pytest

from models.columns import EVENT_COLUMNS
from tests.line import Line
from tests.running_receiver import CONFIGURATION, RunningReceiver, staged_lines
from tests.steady_senders import SteadySenders

_EVERY_EVENT = " union all ".join(f"select event_id, payload from raw.{table}" for table in EVENT_COLUMNS)


def _workers(receiver: RunningReceiver) -> list[int]:
    """The process ids of the receiver's children that serve; of a single worker, none."""
    parent = receiver.process.pid
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(child) for child in children if b"spawn_main" in _command_line(child)]


def _command_line(process: str) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""  # dead, and its parent has noticed meanwhile


def _kill_all(receiver: RunningReceiver) -> None:
    # Stopped first, so that it can put no new worker in the place of a dead one.
    receiver.process.send_signal(signal.SIGSTOP)
    for worker in _workers(receiver):
        os.kill(worker, signal.SIGKILL)
    receiver.kill()


def _port(receiver: RunningReceiver) -> int:
    return int(receiver.url.rpartition(":")[2])


class Ordeal:
    """
    One stage, and the receivers that die on it one after another.

    Attributes:
        kills: So far.
    """

    def __init__(self, root: Path, name: str) -> None:
        self.kills = 0
        self._root = root
        self._senders = SteadySenders(name)
        self._random = random.Random(name)

    def kill_receiver(self, *, workers: int) -> None:
        """Let a receiver serve for a moment, and kill all of it."""
        with self._receiver(workers) as receiver:
            asyncio.run(self._send_and_kill(receiver))

    def kill_workers(self, times: int) -> None:
        """Let two workers serve, kill one after the other while the rest goes on, and in the end drain what is left."""
        with self._receiver(2) as receiver:
            asyncio.run(self._send_and_kill_workers(receiver, times))

    def finish(self) -> None:
        """Send again what was never answered; then hold stage and warehouse to what was acknowledged."""
        with self._receiver(1) as receiver:
            asyncio.run(self._senders.send_unanswered(_port(receiver)))
        line = Line(self._root / "var")
        line.stage.recover()
        self._assert_staged(line)
        report = line.load()
        assert (report.poisoned, report.counts.loaded) == ((), len(self._senders.bodies))
        assert report.counts.received == report.counts.loaded + report.counts.duplicate
        rows = [(row["event_id"], row["payload"]) for row in line.query_warehouse(_EVERY_EVENT)]
        assert sorted(rows) == sorted((event_id, body.decode()) for event_id, body in self._senders.bodies.items())

    def _assert_staged(self, line: Line) -> None:
        staged: dict[str | None, list[str | None]] = defaultdict(list)
        for each in staged_lines(line.stage.closed_segments()):
            staged[each.event_id].append(each.payload)
        for segment in line.stage.closed_segments():
            assert segment.path.read_bytes().count(b"\n") == len(list(segment.lines()))
        assert {path.suffix for path in line.stage.root.iterdir()} == {".jsonl"}
        assert sorted(self._senders.acknowledged) == sorted(self._senders.bodies)
        for event_id, body in self._senders.bodies.items():
            assert set(staged[event_id]) == {body.decode()}
            assert len(staged[event_id]) <= self._senders.attempts[event_id]

    def _receiver(self, workers: int) -> RunningReceiver:
        # Closing all the time, now and then, and never.
        max_age = self._random.choice(["0.01", "0.1", "3600"])
        return RunningReceiver(self._root, CONFIGURATION.replace("0.2", max_age), workers=workers)

    async def _send_and_kill(self, receiver: RunningReceiver) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._senders.send_until_dead(_port(receiver)))
            await self._senders.acknowledge_more(self._random.randrange(1, 60))
            await asyncio.sleep(self._random.uniform(0, 0.2))
            _kill_all(receiver)
        self.kills += 1

    async def _send_and_kill_workers(self, receiver: RunningReceiver, times: int) -> None:
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(self._senders.send_until_cancelled(_port(receiver)))
            killed: list[int] = []
            for _ in range(times):
                await self._senders.acknowledge_more(self._random.randrange(1, 60))
                await asyncio.sleep(self._random.uniform(0, 0.2))
                async with asyncio.timeout(60):
                    # One that was killed can be seen for a moment longer.
                    while len(workers := [each for each in _workers(receiver) if each not in killed]) < 2:
                        await asyncio.sleep(0.01)
                killed.append(self._random.choice(workers))
                os.kill(killed[-1], signal.SIGKILL)
                self.kills += 1
            await self._senders.acknowledge_more(60)
            assert receiver.process.poll() is None
            sending.cancel()


def test_what_was_acknowledged_survives_ten_kills_and_is_loaded_once(tmp_path: Path) -> None:
    """Of receivers that die under load, and of workers that die beside others, no acknowledged event is lost."""
    ordeal = Ordeal(tmp_path, "ten")
    for _ in range(6):
        ordeal.kill_receiver(workers=1)
    ordeal.kill_receiver(workers=2)
    ordeal.kill_workers(3)
    assert ordeal.kills == 10
    ordeal.finish()


@pytest.mark.slow
def test_what_was_acknowledged_survives_two_hundred_kills_and_is_loaded_once(tmp_path: Path) -> None:
    """As often as a machine dies in years, and still each acknowledged event is one row."""
    ordeal = Ordeal(tmp_path, "two hundred")
    for _ in range(10):
        for _ in range(10):
            ordeal.kill_receiver(workers=1)
        for _ in range(4):
            ordeal.kill_receiver(workers=2)
        ordeal.kill_workers(6)
    assert ordeal.kills == 200
    ordeal.finish()


def test_a_loader_that_works_beside_dying_receivers_loads_every_event_once(tmp_path: Path) -> None:
    """It recovers segments while others are made and lost: each acknowledged id is one row of raw in the end."""
    line = Line(tmp_path / "var")
    senders = SteadySenders("beside")
    is_over = threading.Event()

    def load_all_the_while() -> None:
        while not is_over.wait(0.1):
            line.load()

    async def send_and_kill(receiver: RunningReceiver, after: int) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(senders.send_until_dead(_port(receiver)))
            await senders.acknowledge_more(after)
            receiver.kill()

    beside = threading.Thread(target=load_all_the_while)
    beside.start()
    try:
        for after in (150, 300):
            with RunningReceiver(tmp_path, CONFIGURATION.replace("0.2", "0.05")) as receiver:
                asyncio.run(send_and_kill(receiver, after))
    finally:
        is_over.set()
        beside.join()
    line.load()
    loaded = [row["event_id"] for row in line.query_warehouse(_EVERY_EVENT)]
    assert len(loaded) == len(set(loaded))
    assert set(senders.acknowledged) <= set(loaded)
    assert len(senders.acknowledged) >= 450
    assert line.query_warehouse("select sum(received - loaded - duplicate) as unexplained from raw.loads") == [
        {"unexplained": 0}
    ]
    assert line.stage.closed_segments() == []
