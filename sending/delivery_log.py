"""
The durable log of a sender: every attempt, and every delivery that is not done; one SQLite file.

What is recorded is committed and synced together, up to fifty times a second, by a thread of its own. Killed in
between, a sender forgets attempts of the last moment, so it makes them again; it never forgets what it said is durable.

    attempts    delivery_id, event_id, number, at, state, status_code, response_ms, error
    deliveries  delivery_id, event_id, kind, state, body (until delivered), attempts, rungs, first_at, due_at
"""

import asyncio
import fcntl
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from sending.answer import Answer
from sending.delivery import Delivery
from sending.policy import Progress, State, Verdict

_SCHEMA = """
create table if not exists deliveries (
    delivery_id text primary key,
    event_id text not null,
    kind text not null,
    state text not null,
    body blob,
    attempts integer not null,
    rungs integer not null,
    first_at real,
    due_at real
) without rowid;
create index if not exists deliveries_not_delivered on deliveries (state, due_at) where state <> 'delivered';
create table if not exists attempts (
    delivery_id text not null,
    event_id text not null,
    number integer not null,
    at real not null,
    state text not null,
    status_code integer,
    response_ms real not null,
    error text
);
"""
_ATTEMPT = "insert into attempts values (?, ?, ?, ?, ?, ?, ?, ?)"
_DELIVERY = "insert or replace into deliveries values (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_ACCEPTED = "insert or ignore into deliveries values (?, ?, ?, 'waiting', ?, 0, 0, null, ?)"
_WAITING = """
    select delivery_id, attempts, rungs, first_at, due_at from deliveries where state = 'waiting' order by due_at
"""
_SECONDS_BETWEEN_COMMITS = 0.02
_PATIENCE_SECONDS = 30.0
_MOST_PENDING = 10_000

_Row = tuple[object, ...]


class LogFailed(Exception):
    """The log cannot be used, or not any more. The message is a full sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class WaitingDelivery:
    """One that is to be tried; its body stays on disk until then."""

    delivery_id: str
    progress: Progress
    due_at: float


class DeliveryLog:
    """
    Opened on entering by one sender at a time; everything recorded is durable when it has been left.

    Attributes:
        is_resumed: It held deliveries when it was opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._attempts: list[_Row] = []
        self._deliveries: list[tuple[str, _Row]] = []
        self._told: list[Callable[[], None]] = []
        self._wake = threading.Condition()
        self._is_closing = False
        self._failure: Exception | None = None

    def __enter__(self) -> Self:
        """
        Open it, or begin it.

        Raises:
            LogFailed: Another sender has it open, or the file cannot be used.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = self.path.with_name(self.path.name + ".lock").open("ab")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise LogFailed(
                f"Another sender uses the log {self.path}; wait until it has ended, or name another."
            ) from error
        try:
            self._writing, self._reading = _connected(self.path), _connected(self.path)
            self._writing.executescript(_SCHEMA)
            self.is_resumed = self._reading.execute("select 1 from deliveries limit 1").fetchone() is not None
        except sqlite3.Error as error:
            self._lock.close()
            raise LogFailed(f"The log {self.path} cannot be used ({error}); name another file.") from error
        self._thread = threading.Thread(target=self._write, name="delivery-log", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Commit what is left, and close."""
        with self._wake:
            self._is_closing = True
            self._wake.notify()
        self._thread.join()
        self._writing.close()
        self._reading.close()
        self._lock.close()
        if error is None:
            self._check()

    def record(self, delivery: Delivery, answer: Answer, verdict: Verdict, at: float) -> None:
        """
        Take down an attempt begun at *at*, and where the delivery stands after it; durable a moment later.

        Raises:
            LogFailed: Something before it could not be written.
        """
        self._check()
        progress = verdict.progress
        is_open = verdict.state is not State.delivered
        attempt = (
            delivery.delivery_id, delivery.event_id, progress.attempts, at, verdict.state.value, answer.status_code,
            round(answer.seconds * 1000, 3), answer.error,
        )  # fmt: skip
        row = (
            delivery.delivery_id, delivery.event_id, delivery.kind, verdict.state.value,
            delivery.body if is_open else None, progress.attempts, progress.rungs, progress.first_at, verdict.due_at,
        )  # fmt: skip
        with self._wake:
            self._attempts.append(attempt)
            self._deliveries.append((_DELIVERY, row))
            self._wake.notify()

    async def accept(self, deliveries: Iterable[Delivery], due_at: float) -> None:
        """
        Return once *deliveries* are durable, to be tried from *due_at*; those it knows already stay as they are.

        Raises:
            LogFailed: They could not be written.
        """
        rows = [(_ACCEPTED, (each.delivery_id, each.event_id, each.kind, each.body, due_at)) for each in deliveries]
        with self._wake:
            self._deliveries.extend(rows)
        await self.durable()

    @property
    def is_behind(self) -> bool:
        """Whether the disk is slower than what is recorded; wait for `durable` then."""
        return len(self._attempts) > _MOST_PENDING

    async def durable(self) -> None:
        """
        Return once everything recorded so far is on disk.

        Raises:
            LogFailed: It could not be written.
        """
        loop = asyncio.get_running_loop()
        done = asyncio.Event()

        def tell() -> None:
            with suppress(RuntimeError):  # the loop has ended, and nobody waits
                loop.call_soon_threadsafe(done.set)

        with self._wake:
            self._told.append(tell)
            self._wake.notify()
        await done.wait()
        self._check()

    async def delivery(self, delivery_id: str) -> Delivery:
        """
        Return a delivery that is not done, with its body.

        Raises:
            LogFailed: What was recorded of it could not be written.
        """
        row = self._open_row(delivery_id)
        if row is None:
            # Recorded a moment ago.
            await self.durable()
            row = self._open_row(delivery_id)
        if row is None:
            raise LogFailed(f"The log {self.path} has lost {delivery_id}; somebody else has written to it.")
        return Delivery(delivery_id, *row)

    def _open_row(self, delivery_id: str) -> tuple[str, bytes, str] | None:
        row: tuple[str, bytes, str] | None = self._reading.execute(
            "select event_id, body, kind from deliveries where delivery_id = ? and body is not null", [delivery_id]
        ).fetchone()
        return row

    def knows(self, delivery_id: str) -> bool:
        """Whether it held this delivery when it was opened, done or not."""
        if not self.is_resumed:
            return False
        found = self._reading.execute("select 1 from deliveries where delivery_id = ?", [delivery_id]).fetchone()
        return found is not None

    def waiting(self) -> Iterator[WaitingDelivery]:
        """Those that are to be tried, the first due first."""
        for delivery_id, attempts, rungs, first_at, due_at in self._reading.execute(_WAITING):
            yield WaitingDelivery(delivery_id, Progress(attempts, rungs, first_at), due_at)

    def _check(self) -> None:
        if self._failure is not None:
            raise LogFailed(
                f"The log {self.path} could not be written ({self._failure}); make room, and start again: what was"
                " not recorded is sent once more."
            ) from self._failure

    def _write(self) -> None:
        is_last = False
        while not is_last:
            with self._wake:
                while not (self._attempts or self._deliveries or self._told or self._is_closing):
                    self._wake.wait()
                attempts, self._attempts = self._attempts, []
                deliveries, self._deliveries = self._deliveries, []
                told, self._told = self._told, []
                is_last = self._is_closing
            if self._failure is None:
                try:
                    self._commit(attempts, deliveries)
                except sqlite3.Error as error:
                    # Later rows must not stand without earlier ones, so nothing more is written.
                    self._failure = error
            for tell in told:
                tell()
            if not is_last:
                time.sleep(_SECONDS_BETWEEN_COMMITS)

    def _commit(self, attempts: list[_Row], deliveries: list[tuple[str, _Row]]) -> None:
        if not (attempts or deliveries):
            return
        self._writing.execute("begin immediate")
        self._writing.executemany(_ATTEMPT, attempts)
        # In their order: one that was accepted and then tried is both.
        start = 0
        for end in range(1, len(deliveries) + 1):
            if end == len(deliveries) or deliveries[end][0] is not deliveries[start][0]:
                self._writing.executemany(deliveries[start][0], [row for _, row in deliveries[start:end]])
                start = end
        self._writing.execute("commit")


def _connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_PATIENCE_SECONDS, isolation_level=None, check_same_thread=False)
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = full")
    return connection
