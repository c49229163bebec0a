"""The warehouse as the loader sees it: what it holds already, and the dlt destination that writes to it."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dlt
import duckdb
import pyarrow as pa
from dlt.common.destination import Destination

from models.columns import EVENT_COLUMNS
from pipelines.batches import Counts
from pipelines.errors import WarehouseLockedError
from pipelines.fates import KNOWN_SCHEMA, QUARANTINED_SCHEMA, REPLAYED_SCHEMA, KnownEvents
from pipelines.raw_tables import DATASET, RAW_TABLES

LOCK_PATIENCE = 60.0
"""Seconds to wait for another program to let go of the warehouse file."""


# dlt adds a column that belongs to a key as "not null", which no table with rows in it takes.
_ADDED_COLUMNS = {"quarantined_events": {"position": "bigint default 0", "replayed_at": "timestamp"}}


@dataclass(frozen=True, slots=True)
class Warehouse:
    """
    A DuckDB file that only the loader and the build open; readers have the published copy.

    Attributes:
        database: Path of the file; made where it is missing.
        patience: Seconds to wait while another program has it open.
        notice: Told once, when a wait begins.
    """

    database: Path
    patience: float = LOCK_PATIENCE
    notice: Callable[[str], None] = lambda _message: None

    @contextmanager
    def session(self) -> Iterator["WarehouseSession"]:
        """
        Hold the warehouse open for writing.

        Raises:
            WarehouseLockedError: Another program kept it open for longer than `patience`.
        """
        self.database.parent.mkdir(parents=True, exist_ok=True)
        connection = self._connect()
        try:
            session = WarehouseSession(connection)
            session.upgrade()
            yield session
        finally:
            connection.close()

    def _connect(self) -> duckdb.DuckDBPyConnection:
        deadline = time.monotonic() + self.patience
        told = False
        while True:
            try:
                return duckdb.connect(self.database)
            except duckdb.IOException as error:
                if "lock" not in str(error).lower():
                    raise
                if time.monotonic() >= deadline:
                    message = (
                        f"The warehouse {self.database} is open in another program. Close it there (readers open the "
                        "published copy instead); what was received stays staged until then."
                    )
                    raise WarehouseLockedError(message) from error
            if not told:
                self.notice(f"waiting: {self.database} is open in another program")
                told = True
            time.sleep(0.1)


@dataclass(frozen=True, slots=True)
class WarehouseSession:
    """The open warehouse."""

    connection: duckdb.DuckDBPyConnection

    def destination(self) -> Destination:  # type: ignore[type-arg]
        """Return dlt's destination on this connection, its merges atomic."""
        # Without supports_transactions a merge is a DELETE and an INSERT that commit apart.
        return dlt.destinations.duckdb(self.connection, supports_transactions=True)

    def upgrade(self) -> None:
        """Give the tables of a warehouse that an earlier version made the columns that they lack."""
        for dataset, table in self.connection.execute(
            "select table_schema, table_name from information_schema.tables where table_schema in (?, ?)",
            [DATASET, f"{DATASET}_staging"],
        ).fetchall():
            for column, definition in _ADDED_COLUMNS.get(table, {}).items():
                self.connection.execute(f"alter table {dataset}.{table} add column if not exists {column} {definition}")

    def missing_tables(self) -> set[str]:
        """Return the names of the raw tables that do not exist yet."""
        found = self.connection.execute(
            "select table_name from information_schema.tables where table_schema = ?", [DATASET]
        ).fetchall()
        return set(RAW_TABLES) - {name for (name,) in found}

    def last_load_seq(self) -> int:
        """Return the place of the newest load, 0 before the first."""
        if "loads" in self.missing_tables():
            return 0
        row = self.connection.execute(f"select coalesce(max(load_seq), 0) from {DATASET}.loads").fetchone()
        return int(row[0]) if row else 0

    def loaded_batches(self, batch_ids: Sequence[str]) -> set[str]:
        """Return those of *batch_ids* whose load has committed."""
        if "loads" in self.missing_tables():
            return set()
        found = self.connection.execute(
            f"select distinct batch_id from {DATASET}.loads where batch_id in (select unnest(?))", [list(batch_ids)]
        ).fetchall()
        return {batch_id for (batch_id,) in found}

    @property
    def known_events(self) -> KnownEvents:
        """What `raw` holds of the lines of a load."""
        return HeldEvents(self.connection, is_empty=bool(self.missing_tables()))

    def ledger_by_source(self) -> dict[str, tuple[Counts, str]]:
        """Return what the ledger of loads says became of all lines, and when the newest came, by source."""
        if "loads" in self.missing_tables():
            return {}
        rows = self.connection.execute(
            f"select source_id, {_iso('max(last_received_at)')}, "
            f"{', '.join(f'sum({name})' for name in Counts.__slots__)} from {DATASET}.loads "
            "group by source_id order by source_id"
        ).fetchall()
        return {source: (Counts(*(int(total) for total in totals)), last) for source, last, *totals in rows}

    def last_loaded_at(self) -> str | None:
        """Return when the newest load was read, ISO 8601 in UTC; None before the first."""
        if "loads" in self.missing_tables():
            return None
        row = self.connection.execute(f"select {_iso('max(loaded_at)')} from {DATASET}.loads").fetchone()
        return row[0] if row else None

    def rows_by_source(self) -> dict[str, dict[str, int]]:
        """Return how many rows `raw` really holds, by source: `events`, `quarantined` and `refused`."""
        if self.missing_tables():
            return {}
        events = " union all ".join(f"select source_id from {DATASET}.{table}" for table in EVENT_COLUMNS)
        found: dict[str, dict[str, int]] = {}
        for name, rows in (
            ("events", events),
            ("quarantined", f"select source_id from {DATASET}.quarantined_events"),
            ("refused", f"select source_id from {DATASET}.deliveries where outcome = 'refused'"),
        ):
            for source, count in self.connection.execute(
                f"select source_id, count(*) from ({rows}) as held group by source_id"
            ).fetchall():
                found.setdefault(source, {"events": 0, "quarantined": 0, "refused": 0})[name] = int(count)
        return found

    def open_by_source(self) -> dict[str, int]:
        """Return how many quarantined events have not been replayed, by source; none where there are none."""
        if self.missing_tables():
            return {}
        rows = self.connection.execute(
            f"select source_id, count(*) from {DATASET}.quarantined_events where replayed_at is null group by source_id"
        ).fetchall()
        return {source: int(count) for source, count in rows}

    def secrets_by_source(self) -> dict[str, dict[str, str]]:
        """Return when the newest delivery that each secret verified was received, by source and secret; sorted."""
        if self.missing_tables():
            return {}
        rows = self.connection.execute(
            f"select source_id, secret_name, {_iso('max(received_at)')} from {DATASET}.deliveries "
            "where secret_name is not null and outcome in ('accepted', 'quarantined') group by all order by all"
        ).fetchall()
        found: dict[str, dict[str, str]] = {}
        for source, secret, last in rows:
            found.setdefault(source, {})[secret] = last
        return found

    def last_build(self) -> "RecordedBuild | None":
        """Return the newest complete build of the marts, None before the first."""
        if not self._has_builds():
            return None
        row = self.connection.execute(f"select load_seq, fingerprint from {_BUILDS} where is_complete").fetchone()
        return RecordedBuild(int(row[0]), row[1]) if row else None

    def stamp_build(self, fingerprint: str) -> None:
        """Write on the newest complete build what its rows depended on besides the events."""
        self.connection.execute(f"update {_BUILDS} set fingerprint = ? where is_complete", [fingerprint])

    def _has_builds(self) -> bool:
        row = self.connection.execute(
            "select count(*) from information_schema.tables where table_schema || '.' || table_name = ?", [_BUILDS]
        ).fetchone()
        return bool(row and row[0])


@dataclass(frozen=True, slots=True)
class HeldEvents(KnownEvents):
    """What the open warehouse holds of the lines of a load."""

    connection: duckdb.DuckDBPyConnection
    is_empty: bool

    def accepted(self, keys: pa.Table) -> pa.Table:
        """Return those of *keys* that are in an event table."""
        # An id is unique within a source whatever its type, so every table is asked.
        return self._held(tuple(EVENT_COLUMNS), keys, KNOWN_SCHEMA)

    def quarantined(self, places: pa.Table) -> pa.Table:
        """Return the rows at *places*, replayed ones included."""
        return self._held(("quarantined_events",), places, QUARANTINED_SCHEMA)

    def replayed(self, places: pa.Table) -> pa.Table:
        """Return those of *places* whose replay has loaded."""
        return self._held(("replayed_events",), places, REPLAYED_SCHEMA)

    def _held(self, tables: tuple[str, ...], keys: pa.Table, schema: pa.Schema) -> pa.Table:
        if self.is_empty:
            return schema.empty_table()
        self.connection.register("arriving_keys", keys)
        try:
            held = " union all ".join(
                f"select {', '.join(schema.names)} from {DATASET}.{table} semi join arriving_keys "
                f"using ({', '.join(keys.column_names)})"
                for table in tables
            )
            return self.connection.sql(held).to_arrow_table().cast(schema)
        finally:
            self.connection.unregister("arriving_keys")


def _iso(instant: str) -> str:
    """SQL for *instant*, in UTC, as ISO 8601."""
    return f"strftime({instant}, '%Y-%m-%dT%H:%M:%S.%fZ')"


_BUILDS = "intermediate.builds"


@dataclass(frozen=True, slots=True)
class RecordedBuild:
    """
    A complete build.

    Attributes:
        load_seq: The newest load it included.
        fingerprint: What it depended on besides the events; None when dbt was run by other hands than ours.
    """

    load_seq: int
    fingerprint: str | None
