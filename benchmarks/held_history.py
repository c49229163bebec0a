"""A warehouse with a long past, made by SQL from one day that the loader itself has loaded."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import duckdb

from benchmarks.loader_site import LoaderSite
from benchmarks.staged_events import FIRST_DAY, accepted_line, instant_of, staged_events, write_segments
from ingest.staging import StagedLine
from models.columns import EVENT_COLUMNS
from pipelines.duckdb_known_events import note_every_event
from pipelines.duckdb_warehouse import DuckDBWarehouse

EVENTS_OF_A_DAY = 100_000

_DAY = timedelta(days=1)

_DAYS_AT_A_TIME = 10
"""In one statement; day by day, most of what is written would be written twice."""


@dataclass(slots=True)
class HeldHistory:
    """
    The warehouse of *site*.

    The first day has EVENTS_OF_A_DAY events, staged and loaded. Every other one repeats it, with ids and instants of
    its own; all columns are filled as in the first, payloads are as long, and deliveries and ledger go along.

    Attributes:
        site: Where the loader works; nobody else has its warehouse open.
        days: Of them that are over; the next begins there.
        last_day: The newest one that was made here.
        events: That were made here.
    """

    site: LoaderSite
    days: int = 0
    last_day: int = 0
    events: int = 0

    def grow(self, events: int, scratch: Path) -> None:
        """Have *events* of history, in whole days; what else was loaded at the site comes on top."""
        if not self.days:
            write_segments(scratch / "first-day", staged_events(EVENTS_OF_A_DAY, 800, seed=1))
            self.site.stage(scratch / "first-day")
            self.site.loader().load()
            self.days, self.events = 1, EVENTS_OF_A_DAY
        # As the loader does, so that its row groups are those that a load would have made.
        with DuckDBWarehouse(self.site.warehouse()).session() as session:
            connection = session.connection
            while self.events < events:
                number = min(_DAYS_AT_A_TIME, -(-(events - self.events) // EVENTS_OF_A_DAY))
                _repeat_first_day(connection, range(self.days, self.days + number))
                self.days += number
                self.last_day = self.days - 1
                self.events += number * EVENTS_OF_A_DAY
            note_every_event(connection)

    def next_day(self) -> datetime:
        """Return the midnight that begins a day which has nothing yet, and is not of this history from now on."""
        self.days += 1
        return FIRST_DAY + (self.days - 1) * _DAY

    def lines_again(
        self, count: int, received_at: datetime, seed: int, *, is_recent: bool, is_moved: bool
    ) -> Iterator[StagedLine]:
        """
        *count* of its events once more, a millisecond after each other.

        Args:
            received_at: Of the first.
            seed: Others choose others.
            is_recent: All of its last day, otherwise of any.
            is_moved: The first comes with another body, and a timestamp a day later.
        """
        random = Random(seed)  # noqa: S311  # a sequence that can be repeated is the point
        newest = FIRST_DAY + self.last_day * _DAY
        rows = self._some(count, seed, newest if is_recent else FIRST_DAY, newest + _DAY)
        for number, row in enumerate(rows):
            event_id, event_type, schema_version, occurred_at, payload, body_sha256 = row
            line = accepted_line(
                received_at + number * timedelta(milliseconds=1), random, event_id, event_type, schema_version,
                instant_of(occurred_at), payload, body_sha256,
            )  # fmt: skip
            if is_moved and not number:
                yield replace(line, occurred_at=instant_of(occurred_at + _DAY), body_sha256="0" * 64)
            else:
                yield line

    def _some(
        self, count: int, seed: int, since: datetime, until: datetime
    ) -> list[tuple[str, str, str, datetime, str, str]]:
        with duckdb.connect(self.site.warehouse(), read_only=True) as connection:
            connection.execute(
                "create temp table chosen as select event_id from ("
                f"select event_id from ({_held('event_id, received_at')}) "
                f"where received_at >= timestamp '{since:%Y-%m-%d}' and received_at < timestamp '{until:%Y-%m-%d}'"
                f") using sample reservoir({count} rows) repeatable ({seed})"
            )
            columns = "event_id, event_type, schema_version, occurred_at, payload, body_sha256"
            return connection.execute(
                f"select {columns} from ({_held(columns)}) semi join chosen using (event_id)"
            ).fetchall()


def _repeat_first_day(connection: duckdb.DuckDBPyConnection, days: Sequence[int]) -> None:
    row = connection.execute("select max(load_seq), current_database() from raw.loads").fetchone()
    load_seq, catalog = row or (0, "")

    def insert(table: str) -> None:
        copies = " union all ".join(_copy(table, day, load_seq + number) for number, day in enumerate(days, 1))
        cursor = connection.cursor()
        cursor.execute(f'use "{catalog}"')
        cursor.execute(f"insert into raw.{table} {copies}")

    # What has to keep its order is inserted by one thread; there is work for several only with several tables.
    with ThreadPoolExecutor() as pool:
        list(pool.map(insert, (*EVENT_COLUMNS, "deliveries", "loads")))


def _copy(table: str, day: int, load_seq: int) -> str:
    event_id, batch_id = f"'evt_{day:06d}' || event_id[11:]", f"'{day:08x}' || batch_id[9:]"
    changed = {"load_seq": str(load_seq), "batch_id": batch_id}
    clock = "received_at"
    if table == "loads":
        clock = "received_date"
        changed |= {name: f"{name} + to_days({day})" for name in ("received_date", "loaded_at", "last_received_at")}
    else:
        changed["delivery_id"] = f"'{day:08x}' || delivery_id[9:]"
        changed["event_id"] = event_id
        changed["received_at"] = f"received_at + to_days({day})"
    if table in EVENT_COLUMNS:
        changed["occurred_at"] = f"occurred_at + to_days({day})"
        changed["body_sha256"] = f"sha256({event_id})"
        changed["payload"] = f"replace(payload, event_id, {event_id})"
    values = ", ".join(f"{value} as {name}" for name, value in changed.items())
    return f"select * replace ({values}) from raw.{table} where {clock} < timestamp '{FIRST_DAY + _DAY:%Y-%m-%d}'"


def _held(columns: str) -> str:
    return " union all ".join(f"select {columns} from raw.{table}" for table in EVENT_COLUMNS)
