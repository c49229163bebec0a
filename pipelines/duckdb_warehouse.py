"""A warehouse in one DuckDB file."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import pyarrow as pa
from dlt.common.destination import Destination

from models.columns import EVENT_COLUMNS
from pipelines.attached_destination import AttachedDestination
from pipelines.duckdb_destination import HeldDuckDB
from pipelines.duckdb_file import ROW_GROUP, SMALL_LOG, log_bytes, log_of, open_file, open_within
from pipelines.duckdb_known_events import KEYS_TABLE, HeldEvents, note_every_event, remember
from pipelines.errors import QueryError, WarehouseLockedError
from pipelines.extraction import money_of
from pipelines.mart_changes import ChangedMart, MartChanges
from pipelines.publish import CURRENT, open_published, publish, sync_file
from pipelines.raw_tables import DATASET
from pipelines.sql_literals import sql_name, sql_text
from pipelines.warehouse import LOCK_PATIENCE, MartReader, Warehouse, WarehouseSession, not_of

_FETCHED_ROWS = 100

_MOST_LOG_BYTES = 64_000_000
"""
Of changes that are not in the file yet while it is open. Each time they are brought there, the last rows of every table
are written anew; so a load in many parts waits.
"""

_ALLOCATION = (
    '[{"commission_id": "VARCHAR", "adjustment_id": "VARCHAR", "amount": {"amount": "VARCHAR", "currency": "VARCHAR"}}]'
)

# dlt adds a column that belongs to a key as "not null", which no table with rows in it takes.
_ADDED_COLUMNS = {"quarantined_events": {"position": "bigint default 0", "replayed_at": "timestamp"}}


_ALLOCATIONS = f"""
    select
        source_id,
        event_id,
        cast(position as bigint) as position,
        item.commission_id,
        item.adjustment_id,
        {money_of("item.amount.amount")} as amount,
        upper(item.amount.currency) as currency
    from (
        select source_id, event_id, unnest(items) as item, generate_subscripts(items, 1) as position
        from (
            select source_id, event_id, from_json(allocations, '{_ALLOCATION}') as items
            from {DATASET}.payout_events
            where allocations is not null
        ) as payout_events
    ) as allocations
    where item is not null
"""


@dataclass(frozen=True, slots=True)
class DuckDBWarehouse(Warehouse):
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

    @property
    def dbt_target(self) -> str:
        """The output `duckdb`."""
        return "duckdb"

    def dbt_environment(self) -> Mapping[str, str]:
        """Return where the file is."""
        return {"HOOKMART_DUCKDB": str(self.database)}

    def exists(self) -> bool:
        """Return whether the file is there."""
        return self.database.exists()

    @contextmanager
    def session(self, memory: int | None = None) -> Iterator["DuckDBSession"]:
        """
        Hold the file open for writing, with *memory* bytes, or as much as DuckDB takes by itself.

        Raises:
            WarehouseLockedError: Another program kept it open for longer than `patience`.
        """
        self.database.parent.mkdir(parents=True, exist_ok=True)
        session = DuckDBSession(partial(self._connect, memory))
        try:
            session.upgrade()
            yield session
        finally:
            if log_bytes(self.database) > SMALL_LOG:
                session.settle()
            session.connection.close()

    @contextmanager
    def reading(self, published: Path) -> Iterator[MartReader]:
        """Give a reader of the published copy."""
        with open_published(published) as connection:
            yield reader_of(connection)

    def close_dbt(self) -> None:
        """Close the connection that dbt keeps from node to node; the loader comes next."""
        # dbt takes seconds to import; no other command should pay for it.
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager  # noqa: PLC0415

        DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]

    def _connect(self, memory: int | None) -> duckdb.DuckDBPyConnection:
        deadline = time.monotonic() + self.patience
        told = False
        while True:
            try:
                return open_file(self.database) if memory is None else open_within(self.database, memory)
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


@dataclass(slots=True)
class DuckDBSession(WarehouseSession):
    """
    The open file.

    Attributes:
        connect: Opens it.
        connection: Another one after it was lent.
    """

    connect: Callable[[], duckdb.DuckDBPyConnection]
    connection: duckdb.DuckDBPyConnection = field(init=False)
    _is_together: bool = field(init=False, default=False, repr=False)
    _most_bytes: int | None = field(init=False, default=None, repr=False)

    def __post_init__(self) -> None:
        """Open the file."""
        self.connection = self._opened()

    def _opened(self) -> duckdb.DuckDBPyConnection:
        connection = self.connect()
        # Closing would write the whole log into the file, which takes longer than a small load. It is as safe there.
        connection.execute(
            f"pragma disable_checkpoint_on_shutdown; set checkpoint_threshold = '{_MOST_LOG_BYTES}B';"
            # As in `dbt_project/profiles.yml`: months and days are those of UTC, wherever this runs.
            # dlt's files are read once; a cache of them only takes memory.
            "set TimeZone = 'UTC'; set enable_external_file_cache = false"
        )
        if self._most_bytes is not None:
            connection.execute(f"set memory_limit = '{self._most_bytes}B'")
        return connection

    def limit_memory(self, most_bytes: int) -> None:
        """Use no more memory than this; what is larger goes to a directory beside the file."""
        self._most_bytes = most_bytes
        # Aside, since an error in the transaction would end it: what cannot be moved there stays, and that is one.
        with suppress(duckdb.OutOfMemoryException), self.connection.cursor() as aside:
            aside.execute(f"set memory_limit = '{most_bytes}B'")

    def spare_memory(self, most_bytes: int) -> None:
        """Use no more memory than this, nor more than DuckDB takes by itself: four fifths of what there is."""
        [(own,)] = self.execute("select current_setting('memory_limit')")
        self.limit_memory(min(most_bytes, _bytes_of(own)))

    commit_bytes: ClassVar[int] = 384 * 1024 * 1024
    """A commit of many rows takes less time than many of few; but DuckDB remembers 4 MB of each 50 until it is done."""

    loads_whole: ClassVar[bool] = True
    """A load is one transaction."""

    runs_compiled: ClassVar[bool] = True
    """An incremental build is one as well."""

    @property
    def allocations(self) -> str:
        """SQL for what `raw.payout_events` says that a payout was allocated to."""
        return _ALLOCATIONS

    def destination(self) -> Destination:  # type: ignore[type-arg]
        """Return the destination that writes in the transaction that `loading` holds."""
        return HeldDuckDB(self.connection)

    def input_destination(self) -> Destination:  # type: ignore[type-arg]
        """Return dlt's own destination for what is attached, its merges atomic."""
        # Without supports_transactions a merge is a DELETE and an INSERT that commit apart.
        return AttachedDestination(self.connection, supports_transactions=True)

    @contextmanager
    def loading(self, displaced: pa.Table | None) -> Iterator[None]:
        """Hold a transaction: what is loaded meanwhile is there whole or not at all, *displaced* gone with it."""
        with nullcontext() if self._is_together else self._transaction():
            yield
            if displaced is not None:
                self.remove_displaced()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Hold one transaction for all loads meanwhile."""
        with self._transaction():
            self._is_together = True
            try:
                yield
            finally:
                self._is_together = False

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self.connection.begin()
        try:
            yield
            self.connection.commit()
        except BaseException:
            with suppress(duckdb.Error):  # after a full disk there is nothing left to roll back
                self.connection.rollback()
            raise

    @property
    def known_events(self) -> HeldEvents:
        """What `raw` holds of the lines of a load."""
        return self.known_apart_from(())

    def known_apart_from(self, batch_ids: Sequence[str]) -> HeldEvents:
        """Return the same without what came with these batches."""
        return HeldEvents(self.connection, bool(self.missing_tables()), not_of(batch_ids))

    def remove_rows(self, table: str, rows: pa.Table, key: Sequence[str]) -> None:
        """Remove from a table of `raw` those that agree with one of *rows* in *key*."""
        same = " and ".join(f"held.{name} = leaving.{name}" for name in key)
        self.connection.register("leaving", rows.select(list(key)))
        self.connection.execute(f"delete from {DATASET}.{table} as held using leaving where {same}")
        self.connection.unregister("leaving")

    def add_rows(self, table: str, rows: pa.Table) -> None:
        """Add *rows* to a table of `raw`."""
        self.connection.register("joining", rows)
        self.connection.execute(f"insert into {DATASET}.{table} by name select * from joining")
        if table in EVENT_COLUMNS:
            remember(self.connection, "joining")
        self.connection.unregister("joining")

    def rows(self, sql: str, values: Mapping[str, Any] | None = None) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query, few at a time; another query on the session ends it."""
        found = self.connection.execute(sql, values)
        while fetched := found.fetchmany(_FETCHED_ROWS):
            yield from fetched

    def execute(self, sql: str, values: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Run *sql*, which has taken effect on return, and return its rows."""
        return self.connection.execute(sql, values).fetchall()

    def arrow(self, sql: str, values: Mapping[str, Any] | None = None) -> pa.Table:
        """Return the rows of a query as Arrow."""
        return self.connection.sql(sql, params=values).to_arrow_table()

    def publish(self, published: Path, load_seq: int) -> Path:
        """Bring the marts to a new generation, which readers open, and return its directory."""
        return publish(self.connection, published, load_seq, MartChanges(self.connection))

    def begin_changes(self) -> None:
        """Count the build that changes the marts in this transaction."""
        MartChanges(self.connection).begin()

    def note_changes(self, mart: ChangedMart) -> None:
        """Note what a build did to a mart, for the next publication."""
        MartChanges(self.connection).note(mart)

    def forget_changes(self) -> None:
        """Have the next publication copy all."""
        MartChanges(self.connection).forget()

    def is_published(self, published: Path) -> bool:
        """Return whether there is a generation."""
        return (published / CURRENT).exists()

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Close the file meanwhile, so that dbt may open it."""
        # Whoever closes it with a log would write the rows of all tables into row groups of DuckDB's own size.
        self.settle()
        self.connection.close()
        yield
        self.connection = self._opened()

    def reopen(self) -> None:
        """Close the file and open it again: DuckDB keeps what it knows of all row groups, 20 MB per 300,000 events."""
        with self.lent():
            pass

    def settle(self) -> None:
        """Bring what is in the log into the file: as long as it is there, it takes memory, a quarter MiB a column."""
        with suppress(duckdb.Error):  # what could not be brought there stays in the log
            self.connection.execute("checkpoint")

    def compact(self) -> None:
        """Copy what is in the file to a new one, which takes its place: a file keeps the blocks that were freed."""
        [(name, path)] = self.execute(
            "select database_name, path from duckdb_databases() where database_name = current_database()"
        )
        database = Path(path)
        aside = database.with_name(f"{database.name}.new")
        for leftover in (aside, log_of(aside)):
            leftover.unlink(missing_ok=True)
        self.execute("force checkpoint")
        self.execute(f"attach {sql_text(aside)} as rewritten (row_group_size {ROW_GROUP})")
        self.execute(f"copy from database {sql_name(name)} to rewritten")
        self.execute("checkpoint rewritten")
        self.execute("detach rewritten")
        sync_file(aside)
        # All of the old log is in the old file; the new one must never meet it.
        log_of(database).unlink(missing_ok=True)
        # Still open, so that nobody is let into the old file any more.
        aside.replace(database)
        sync_file(database.parent)
        self.connection.close()
        self.connection = self._opened()

    def upgrade(self) -> None:
        """Give the tables of a warehouse that an earlier version made the columns that they lack."""
        for dataset in (DATASET, f"{DATASET}_staging"):
            present = self.table_names(dataset)
            for table, columns in _ADDED_COLUMNS.items():
                for column, definition in columns.items() if table in present else ():
                    self.execute(f"alter table {dataset}.{table} add column if not exists {column} {definition}")
        present = self.table_names(DATASET)
        if KEYS_TABLE not in present:
            self.execute(f"create schema if not exists {DATASET}")
            note_every_event(self.connection, sorted(present & set(EVENT_COLUMNS)))


def _bytes_of(text: str) -> int:
    """Return what DuckDB writes as `18.8 GiB`."""
    number, unit = text.split()
    return int(float(number) * 1024 ** ("bytes", "KiB", "MiB", "GiB", "TiB").index(unit))


def reader_of(connection: duckdb.DuckDBPyConnection) -> MartReader:
    """Return what asks *connection*."""

    def rows(sql: str, values: Mapping[str, Any]) -> pa.Table:
        try:
            return connection.sql(sql, params=dict(values)).to_arrow_table()
        except duckdb.Error as error:
            raise QueryError(str(error)) from error

    return rows
