"""
What will happen in a played programme, handed out in the order of time.

The near future is kept in memory; of the rest only so much, and what is more waits in a temporary file. So a programme
of any size takes the same memory.
"""

import pickle
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from typing import NamedTuple, TypeAlias

from simulator.postings import Posting

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_TABLE = """
    create table entries (
        at integer, rank integer, number integer, event_type text, rest blob, is_live integer, told blob
    );
    create index entries_in_order on entries (at, rank, number);
"""


class Note(NamedTuple):
    """
    What the truth counts once an entry comes out.

    Attributes:
        what: Of which the truth keeps a count.
        key: Under which it is counted.
    """

    what: str
    key: str
    change: int = 1


class Entry(NamedTuple):
    """
    Something that happens, before it has an event id. Entries sort by time, then by lifecycle rank, then as written.

    Attributes:
        at: Aware UTC.
        number: Of the entry, in the order of writing.
        rest: Of the event's JSON: what follows its id and its times.
        is_live: False for a test event.
        postings: What it moves in the books.
        notes: What it changes in the counts.
    """

    at: datetime
    rank: int
    number: int
    event_type: str
    rest: bytes
    is_live: bool
    postings: tuple[Posting, ...]
    notes: tuple[Note, ...]


class Agenda:
    """Entries may be added for any moment that was not yet handed out."""

    def __init__(self, room: int = 1500) -> None:
        """Keep up to *room* entries in memory, and of those that are handed out next about as many besides."""
        self._room = room
        self._near: list[Entry] = []
        self._file: sqlite3.Connection | None = None

    def add(self, entry: Entry) -> None:
        heappush(self._near, entry)
        if len(self._near) > self._room:
            self._put_aside()

    def take_before(self, moment: datetime) -> Iterator[Entry]:
        """Hand out, and forget, all that happens before *moment*; nothing earlier may be added meanwhile."""
        is_all = False
        while not is_all:
            fetched = self._fetched_before(moment)
            is_all = len(fetched) < self._room
            # The file may hold more of the same moment as the last of them.
            until = moment if is_all else fetched[-1].at
            for entry in fetched:
                heappush(self._near, entry)
            while self._near and self._near[0].at < until:
                yield heappop(self._near)

    def _put_aside(self) -> None:
        if self._file is None:
            self._file = _temporary_database()
        # The later three quarters: the rest is likely to be asked for soon.
        self._near.sort()
        kept = self._room // 4
        rows = [
            (_microseconds(entry.at), *entry[1:6], pickle.dumps(entry[6:]) if entry.postings or entry.notes else None)
            for entry in self._near[kept:]
        ]
        del self._near[kept:]
        self._file.execute("begin")
        self._file.executemany("insert into entries values (?, ?, ?, ?, ?, ?, ?)", rows)
        self._file.execute("commit")

    def _fetched_before(self, moment: datetime) -> list[Entry]:
        if self._file is None:
            return []
        rows = self._file.execute(
            "select * from entries where at < ? order by at, rank, number limit ?", (_microseconds(moment), self._room)
        ).fetchall()
        if rows:
            last = rows[-1][:3]
            self._file.execute(
                "delete from entries where at <= ? and (at, rank, number) <= (?, ?, ?)", (last[0], *last)
            )
        return [
            Entry(
                _EPOCH + timedelta(microseconds=at),
                rank,
                number,
                event_type,
                rest,
                bool(is_live),
                # Written by this process a moment ago, into a file that nobody else can open.
                *(pickle.loads(told) if told else ((), ())),  # noqa: S301
            )
            for at, rank, number, event_type, rest, is_live, told in rows
        ]


def _microseconds(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def _temporary_database() -> sqlite3.Connection:
    # An empty name is a file of this connection alone, which the system removes with it.
    connection = sqlite3.connect("", isolation_level=None)
    for setting in ("journal_mode = off", "synchronous = off", "cache_size = -2000"):
        connection.execute(f"pragma {setting}")
    connection.executescript(_TABLE)
    return connection


Task: TypeAlias = Callable[[datetime], None]
"""Something to do; called with the moment it was written down for."""


class Diary:
    """
    What somebody is to do at a moment; done in the order of time, and whoever does it may write more into it.

    Attributes:
        now: Until when all is done.
    """

    def __init__(self, now: datetime) -> None:
        self.now = now
        self._tasks: list[tuple[datetime, int, Task]] = []
        self._number = 0

    def add(self, at: datetime, task: Task) -> None:
        self._number += 1
        heappush(self._tasks, (at, self._number, task))

    def work_until(self, moment: datetime) -> None:
        """Do all that is to be done before *moment*."""
        while self._tasks and self._tasks[0][0] < moment:
            at, _, task = heappop(self._tasks)
            task(at)
        self.now = moment
