"""
A warehouse with a large programme in it: one that was played and loaded, and copies of it made by SQL.

Some events of each are held back: they are what comes late, or next.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import duckdb

from benchmarks.loader_site import LoaderSite
from benchmarks.staged_events import accepted_line, instant_of, write_segments
from ingest.staging import StagedLine
from models.columns import EVENT_COLUMNS, Kind
from models.reading import read_event
from pipelines.duckdb_known_events import note_every_event
from simulator.journal import Event
from simulator.programme import ProgrammeSize, play_programme

END = datetime(2026, 11, 1, tzinfo=UTC)
PLAYED = 100_000
PARTNERS = 200

COPIES_OF_PARTNERS = 10
"""Copies that are the work of the same partners: a larger history has more of them too."""

_HELD_BACK = 15
"""One in so many events."""

_NEWEST = 0.1
"""Of those, what comes in the order in which it happened; the rest comes late, in no order."""

_LAST_EVENTS = 40_000
"""Of each copy, about a month: what comes next is taken from these, so that monthly payouts have their part in it."""

_COPIES_AT_A_TIME = 10
_MILLISECOND = timedelta(milliseconds=1)
_HASHES = {
    "device_ip_hash": "ip_hash",
    "device_fingerprint_hash": "fingerprint_hash",
    "destination_hash": "destination_hash",
}
"""Column and JSON name of what else belongs to the people of one copy."""


@dataclass(frozen=True, slots=True)
class Names:
    """
    What the ids of the played programme are called in its copy *number*.

    Attributes:
        tag: In every id that the programme gave.
        number: 0 for the played one itself.
    """

    tag: str
    number: int

    def body(self, event: Event) -> bytes:
        """The event as the copy posts it."""
        body = event.body
        for old, new in self._texts():
            body = body.replace(old.encode(), new.encode())
        if self.number:
            for name in _HASHES.values():
                body = body.replace(f'"{name}":"'.encode(), f'"{name}":"{self.number:06x}'.encode())
        return body

    def sql(self, column: str) -> str:
        """The value that the copy has in *column*."""
        value = column
        for old, new in self._texts():
            value = f"replace({value}, '{old}', '{new}')"
        return f"'{self.number:06x}' || {column}" if column in _HASHES else value

    def _texts(self) -> tuple[tuple[str, str], ...]:
        own, partners = (self._tag_of(number) for number in (self.number, self.number // COPIES_OF_PARTNERS))
        return (f"_{self.tag}_", f"_{own}_"), (f"ptn_{own}_", f"ptn_{partners}_")

    def _tag_of(self, number: int) -> str:
        return f"{number:06x}" if number else self.tag


def programme(seed: int, events: int = PLAYED) -> list[Event]:
    """The events of a programme of PARTNERS partners, in the order in which they happened; other ids by *seed*."""
    return list(play_programme(seed, ProgrammeSize(events, PARTNERS), END))


def lines_of(bodies: Iterable[bytes], received_at: datetime, seed: int) -> Iterator[StagedLine]:
    """Events as staged lines, a millisecond after each other."""
    random = Random(seed)  # noqa: S311  # a sequence that can be repeated is the point
    for number, body in enumerate(bodies):
        header = read_event(body)
        yield accepted_line(
            received_at + number * _MILLISECOND, random, header.event_id, header.event_type, header.schema_version,
            instant_of(header.occurred_at), body.decode(),
        )  # fmt: skip


@dataclass(slots=True)
class MartHistory:
    """
    The warehouse of *site*: PLAYED events, staged and loaded, and copies of them.

    The copies happen at the same times, with conversions, customers, commissions and payouts of their own; ten of them
    share their partners. Their payloads are empty, since no mart reads them.

    Attributes:
        to_come: Events of each copy that are played beyond PLAYED and left for `next`.
        copies: Programmes in it, the played one among them.
        played_loads: Of the played one.
    """

    site: LoaderSite
    to_come: int = 0
    copies: int = 0
    played_loads: int = 0
    _played: list[Event] = field(default_factory=list, repr=False)
    _to_come: list[Event] = field(default_factory=list, repr=False)
    _held_back: list[Event] = field(default_factory=list, repr=False)

    @property
    def events(self) -> int:
        """How many it has of the history, those that are held back among them."""
        return self.copies * PLAYED

    def grow(self, events: int, scratch: Path) -> None:
        """Have *events*, in whole copies."""
        self._play()
        if not self.copies:
            write_segments(scratch / "played", lines_of((event.body for event in self._played), END, 1))
            self.site.stage(scratch / "played")
            self.site.loader().load()
            self.copies = 1
            self.played_loads = last_load(self.site)
        with duckdb.connect(self.site.warehouse()) as connection:
            texts = _texts_with(connection, self._tag())
            while self.events < events:
                until = min(self.copies + _COPIES_AT_A_TIME, -(-events // PLAYED))
                names = [Names(self._tag(), number) for number in range(self.copies, until)]
                _copy(connection, names, texts, self.played_loads)
                self.copies = until
            note_every_event(connection)

    def late(self, number: int, count: int) -> list[bytes]:
        """The *number*th *count* of the older events that were held back, of any copy, in no order."""
        older, _newest = self._held()
        order = list(range(self.copies * len(older)))
        Random(self.copies).shuffle(order)  # noqa: S311  # an order that can be repeated is the point
        return self._bodies(older, order[number * count : (number + 1) * count])

    def newest(self, number: int, count: int) -> list[bytes]:
        """The *number*th *count* of the newest events that were held back, those of the last days, of all copies."""
        _older, newest = self._held()
        order = self._by_time(newest)
        every = len(order)
        return self._bodies(newest, order[every - (number + 1) * count : every - number * count])

    def next(self, count: int) -> list[bytes]:
        """
        *count* events that follow upon the history, of all copies, in the order in which they happened.

        Of the last month, or more where `to_come` is more than happened in it; what else happened is in the history.
        """
        self._play()
        return self._bodies(self._to_come, self._by_time(self._to_come)[:count])

    def _by_time(self, events: Sequence[Event]) -> list[int]:
        # By time first: the same event of every copy follows upon itself.
        size = len(events)
        return [place % self.copies * size + place // self.copies for place in range(self.copies * size)]

    def _held(self) -> tuple[list[Event], list[Event]]:
        self._play()
        newest = max(1, int(len(self._held_back) * _NEWEST))
        return self._held_back[:-newest], self._held_back[-newest:]

    def _bodies(self, events: Sequence[Event], places: Sequence[int]) -> list[bytes]:
        size = len(events)
        return [Names(self._tag(), place // size).body(events[place % size]) for place in places]

    def duplicates(self, seed: int, count: int) -> list[bytes]:
        """Events that are in the warehouse already."""
        self._play()
        return [event.body for event in Random(seed).sample(self._played, count)]  # noqa: S311  # as above

    def _play(self) -> None:
        if not self._played:
            random = Random(1)  # noqa: S311  # as above
            for event in programme(1, PLAYED + self.to_come):
                (self._played if random.randrange(_HELD_BACK) else self._held_back).append(event)
            first = max(0, len(self._played) - max(_LAST_EVENTS, self.to_come))
            chosen = sorted(random.sample(range(first, len(self._played)), self.to_come))
            self._to_come = [self._played[place] for place in chosen]
            for place in reversed(chosen):
                del self._played[place]

    def _tag(self) -> str:
        return self._played[0].event_id.split("_")[1]


def last_load(site: LoaderSite) -> int:
    """Return the place of the newest load."""
    with duckdb.connect(site.warehouse(), read_only=True) as connection:
        row = connection.execute("select max(load_seq) from raw.loads").fetchone()
    return int(row[0]) if row else 0


def _texts_with(connection: duckdb.DuckDBPyConnection, tag: str) -> dict[str, list[str]]:
    """Which columns of each table of events hold ids of the programme."""
    found = {}
    for table, columns in EVENT_COLUMNS.items():
        names = [column.name for column in columns if column.kind in {Kind.TEXT, Kind.JSON}]
        looks = ", ".join(f"coalesce(bool_or(contains({name}, '_{tag}_')), false)" for name in names)
        row = connection.execute(f"select {looks} from raw.{table}").fetchone() or ()
        found[table] = [name for name, has in zip(names, row, strict=True) if has]
    return found


def _copy(
    connection: duckdb.DuckDBPyConnection, names: Sequence[Names], texts: Mapping[str, list[str]], played_loads: int
) -> None:
    def insert(table: str) -> None:
        copies = " union all ".join(_copied(table, each, texts.get(table, []), played_loads) for each in names)
        connection.cursor().execute(f"insert into raw.{table} {copies}")

    with ThreadPoolExecutor() as pool:
        list(pool.map(insert, (*EVENT_COLUMNS, "deliveries", "loads")))


def _copied(table: str, names: Names, texts: Sequence[str], played_loads: int) -> str:
    prefix = f"{names.number:08x}"
    changed = {"load_seq": f"load_seq + {names.number * played_loads}", "batch_id": f"'{prefix}' || batch_id[9:]"}
    if table != "loads":
        changed["delivery_id"] = f"'{prefix}' || delivery_id[9:]"
        changed["event_id"] = names.sql("event_id")
    if table in EVENT_COLUMNS:
        hashes = {column.name for column in EVENT_COLUMNS[table]} & set(_HASHES)
        changed |= {name: names.sql(name) for name in sorted({*texts, *hashes})}
        changed["body_sha256"] = f"sha256({changed['event_id']})"
        changed["payload"] = "'{}'"
    values = ", ".join(f"{value} as {name}" for name, value in changed.items())
    return f"select * replace ({values}) from raw.{table} where load_seq <= {played_loads}"
