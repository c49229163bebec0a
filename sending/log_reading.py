"""What a sender's log says, for people: read while the sender writes, without holding it up."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sending.delivery_log import LogFailed
from sending.policy import State

_DELIVERIES = """
    select
        deliveries.delivery_id, deliveries.event_id, deliveries.kind, deliveries.state, deliveries.attempts,
        deliveries.first_at, deliveries.due_at,
        coalesce(cast(last.status_code as text), last.error, '')
    from deliveries
    left join attempts as last
        on deliveries.delivery_id = last.delivery_id and deliveries.attempts = last.number
    where deliveries.state = ? order by deliveries.first_at, deliveries.delivery_id limit ?
"""
_ATTEMPTS = """
    select delivery_id, number, at, state, status_code, response_ms, error
    from attempts where event_id = ? or delivery_id = ? order by at, number
"""


@dataclass(frozen=True, slots=True)
class LoggedDelivery:
    """
    One delivery, as far as it has come.

    Attributes:
        first_at: Seconds since 1970, by the sender's clock; None before the first attempt.
        due_at: Likewise; None where no attempt will follow.
        last_answer: A status, or the error in its place; empty before the first attempt.
    """

    delivery_id: str
    event_id: str
    kind: str
    state: State
    attempts: int
    first_at: float | None
    due_at: float | None
    last_answer: str


@dataclass(frozen=True, slots=True)
class LoggedAttempt:
    """
    One attempt.

    Attributes:
        number: From 1.
        at: When it began, in seconds since 1970, by the sender's clock.
        state: Of the delivery after it.
        response_ms: Real time until the answer, or until the failure.
        error: None where there was an answer.
    """

    delivery_id: str
    number: int
    at: float
    state: State
    status_code: int | None
    response_ms: float
    error: str | None


class LogReader:
    """
    Reads the log at *path*.

    Raises:
        LogFailed: It is not there, or not a log; at each call.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def counts(self) -> dict[State, int]:
        """Return how many deliveries stand where."""
        rows = self._rows("select state, count(*) from deliveries group by state")
        found = {State(state): count for state, count in rows}
        return {state: found.get(state, 0) for state in State}

    def deliveries(self, state: State, most: int) -> list[LoggedDelivery]:
        """Return those that stand at *state*, the oldest first, no more than *most*."""
        return [
            LoggedDelivery(delivery_id, event_id, kind, State(stands), attempts, first_at, due_at, last)
            for delivery_id, event_id, kind, stands, attempts, first_at, due_at, last in self._rows(
                _DELIVERIES, state.value, most
            )
        ]

    def attempts(self, wanted: str) -> list[LoggedAttempt]:
        """Return every attempt of the event, or of the delivery, whose id is *wanted*."""
        return [
            LoggedAttempt(delivery_id, number, at, State(state), status_code, response_ms, error)
            for delivery_id, number, at, state, status_code, response_ms, error in self._rows(_ATTEMPTS, wanted, wanted)
        ]

    def _rows(self, sql: str, *values: object) -> Iterator[tuple[Any, ...]]:
        if not self._path.exists():
            raise LogFailed(f"There is no log at {self._path}; name the file that was given as --log.")
        try:
            with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=30)) as connection:
                yield from connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise LogFailed(f"{self._path} is not a log of deliveries ({error}); name another file.") from error
