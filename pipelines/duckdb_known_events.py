"""
What a DuckDB warehouse holds already of the lines of a load, at a cost that hardly grows with history.

`raw._event_keys` has a number of 64 bits per event ever loaded, made of its source and id. A load's events are looked
for there first: 8 bytes per event of history are read, and most of what arrives is new and done with. What may be held
is then read where it is: a redelivery carries the `occurred_at` of the first, of which DuckDB reads a column and no
other to say in which places the row may be. Only an id that comes with another time is looked for among all ids.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from models.columns import EVENT_COLUMNS
from pipelines.fates import (
    BODIES_SCHEMA,
    DELIVERIES_SCHEMA,
    KNOWN_SCHEMA,
    QUARANTINED_SCHEMA,
    REPLAYED_SCHEMA,
    KnownEvents,
)
from pipelines.raw_tables import DATASET

KEYS_TABLE = "_event_keys"
_KEYS = f"{DATASET}.{KEYS_TABLE}"

# An id holds no NUL, so that no two pairs make one text. DuckDB's hash() may change with its version.
_KEY = "md5_number_lower(source_id || chr(0) || event_id)"

EVENT_TABLES = tuple(f"{DATASET}.{name}" for name in EVENT_COLUMNS)
"""An id is unique within a source whatever its type, so every one of them is asked."""

TIME, ID = "occurred_at", "source_id, event_id"
"""Columns by which events are looked for."""

_MOST_PLACES = 20_000
"""
Of so many rows at most DuckDB is asked to skip all that lies between them, which it does for 50 by itself.

Two thousand rows of twenty million are read in a quarter of the time then, and ten thousand, which are nearly
everywhere, in the same.
"""


def remember(connection: duckdb.DuckDBPyConnection, rows: str) -> None:
    """Note the events of *rows*, a table or what reads like one, as held."""
    connection.execute(f"insert into {_KEYS} select {_KEY} from {rows}")


def note_every_event(connection: duckdb.DuckDBPyConnection, tables: Sequence[str] = tuple(EVENT_COLUMNS)) -> None:
    """Make the notes anew of what the event *tables* hold."""
    held = (f" union all select {_KEY} from {DATASET}.{table}" for table in tables)
    nothing = "select cast(null as ubigint) as key where false"
    connection.execute(f"create or replace table {_KEYS} as {nothing}{''.join(held)}")


@dataclass(frozen=True, slots=True)
class HeldEvents(KnownEvents):
    """
    What the open warehouse holds of the lines of a load.

    Attributes:
        others: SQL, true of the rows that count.
    """

    connection: duckdb.DuckDBPyConnection
    is_empty: bool
    others: str = "true"

    def accepted(self, arriving: pa.Table) -> pa.Table:
        """Return those of *arriving* that are in an event table."""
        if self.is_empty:
            return KNOWN_SCHEMA.empty_table()
        with self._registered("arriving_events", arriving):
            self.connection.execute(f"""
                create or replace temp table sought as
                select source_id, event_id, occurred_at
                from (select *, {_KEY} as key from arriving_events)
                where key in (select key from {_KEYS} semi join (select {_KEY} as key from arriving_events) using (key))
            """)
        if not self._count("sought"):
            return KNOWN_SCHEMA.empty_table()
        found = self._held_events("sought", KNOWN_SCHEMA, TIME)
        with self._registered("found_events", found):
            self.connection.execute(
                "create or replace temp table missed as from sought anti join found_events using (source_id, event_id)"
            )
        if self._count("missed"):
            return pa.concat_tables([found, self._held_events("missed", KNOWN_SCHEMA, ID)])
        return found

    def bodies(self, known: pa.Table) -> pa.Table:
        """Return the same events with their bodies."""
        if not known.num_rows:
            return BODIES_SCHEMA.empty_table()
        with self._registered("known_bodies", known):
            return self._held_events("known_bodies", BODIES_SCHEMA, TIME)

    def refused(self, deliveries: pa.Table) -> pa.Table:
        """Return those of *deliveries* that are held as refused."""
        if self.is_empty or not deliveries.num_rows:
            return DELIVERIES_SCHEMA.empty_table()
        with self._registered("arriving_deliveries", deliveries):
            return (
                self.connection.sql(f"""
                select delivery_id, received_at
                from {DATASET}.deliveries
                semi join arriving_deliveries using (delivery_id)
                where
                    outcome = 'refused'
                    and {self.others}
                    and received_at between (select min(received_at) from arriving_deliveries)
                    and (select max(received_at) from arriving_deliveries)
            """)
                .to_arrow_table()
                .cast(DELIVERIES_SCHEMA)
            )

    def quarantined(self, places: pa.Table) -> pa.Table:
        """Return the rows at *places*, replayed ones included."""
        return self._at(places, "quarantined_events", QUARANTINED_SCHEMA)

    def replayed(self, places: pa.Table) -> pa.Table:
        """Return those of *places* whose replay has loaded."""
        return self._at(places, "replayed_events", REPLAYED_SCHEMA)

    def _at(self, places: pa.Table, table: str, schema: pa.Schema) -> pa.Table:
        if self.is_empty:
            return schema.empty_table()
        with self._registered("arriving_places", places):
            found = f"select {', '.join(schema.names)} from {DATASET}.{table} semi join arriving_places"
            found = f"{found} using (delivery_id, position) where {self.others}"
            return self.connection.sql(found).to_arrow_table().cast(schema)

    def _held_events(self, sought: str, schema: pa.Schema, by: str) -> pa.Table:
        """Return the events of *sought*, which are looked for *by* columns of theirs."""
        found = []
        with self._skipping():
            # One table after the other takes a third of the memory.
            for table in EVENT_TABLES:
                self.connection.execute(
                    "create or replace temp table places as "
                    f"select rowid as place from {table} semi join {sought} using ({by})"
                )
                found.append(self._rows_of(table, sought, schema, "rowid in (select place from places)"))
        return pa.concat_tables(found)

    def _rows_of(self, table: str, sought: str, schema: pa.Schema, condition: str) -> pa.Table:
        """Return the events of *sought* that *table* holds in a row of which *condition*, SQL, is true."""
        held = f"select {', '.join(schema.names)} from {table} semi join {sought} using ({ID})"
        return self.connection.sql(f"{held} where {condition} and {self.others}").to_arrow_table().cast(schema)

    @contextmanager
    def _skipping(self) -> Iterator[None]:
        """Have DuckDB skip what lies between the places that it is asked for; it reads all columns of all else."""
        # Not for the whole session: a build's joins are of other sizes.
        self.connection.execute(f"set dynamic_or_filter_threshold = {_MOST_PLACES}")
        try:
            yield
        finally:
            with suppress(duckdb.Error):  # the transaction has failed, and nothing can be asked any more
                self.connection.execute("reset dynamic_or_filter_threshold")

    def _count(self, table: str) -> int:
        row = self.connection.execute(f"select count(*) from {table}").fetchone()
        return int(row[0]) if row else 0

    @contextmanager
    def _registered(self, name: str, rows: pa.Table) -> Iterator[None]:
        self.connection.register(name, rows)
        try:
            yield
        finally:
            self.connection.unregister(name)
