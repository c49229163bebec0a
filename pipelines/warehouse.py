"""
The warehouse as the loader and the build see it, whatever engine it is.

What a session asks in SQL stands here once, in words that every engine knows; how it connects, which dlt destination
writes to it and how it looks up known events stands in one module per engine.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
from dlt.common.destination import Destination, TLoaderFileFormat

from ingest.staging import IGNORED
from models.columns import EVENT_COLUMNS
from models.inputs import INPUTS
from pipelines.build_record import BuildRecord
from pipelines.fates import KnownEvents
from pipelines.mart_changes import ChangedMart
from pipelines.raw_tables import ALLOCATIONS, DATASET, RAW_TABLES

LOCK_PATIENCE = 60.0
"""Seconds to wait for another program to let go of the warehouse, or for its server to answer."""

_NAMES_AT_A_TIME = 500
"""In one `in (...)`; engines limit its length."""


MartReader = Callable[[str, Mapping[str, Any]], pa.Table]
"""
Gives the rows of a query as Arrow; `$name` in it stands for one of the values.

Raises:
    QueryError: The engine says that the query is wrong, or asks for more than reading.
"""


class Warehouse(ABC):
    """
    Where events are loaded and marts are built.

    Attributes:
        patience: Seconds to wait while it cannot be had.
        notice: Told once, when a wait begins.
    """

    patience: float
    notice: Callable[[str], None]

    @property
    @abstractmethod
    def dbt_target(self) -> str:
        """The name of its output in `dbt_project/profiles.yml`."""

    @abstractmethod
    def dbt_environment(self) -> Mapping[str, str]:
        """Return the variables that this output reads."""

    @abstractmethod
    def session(self, memory: int | None = None) -> AbstractContextManager["WarehouseSession"]:
        """
        Hold the warehouse for writing; nobody else of us has it meanwhile. It may take *memory* bytes of this process.

        Raises:
            WarehouseLockedError: Another program kept it for longer than `patience`.
        """

    @abstractmethod
    def exists(self) -> bool:
        """Return whether anything can have been loaded; False spares a reader to make an empty warehouse."""

    @abstractmethod
    def reading(self, published: Path) -> AbstractContextManager["MartReader"]:
        """
        Give a reader of the marts, all of one build, whatever is built meanwhile; it names them without a schema.

        Raises:
            NotPublishedError: No build has published yet.
        """

    def close_dbt(self) -> None:  # noqa: B027 - most engines have nothing to close
        """Let go of what dbt keeps open after a command."""


class WarehouseSession(BuildRecord):
    """The open warehouse."""

    @abstractmethod
    def destination(self) -> Destination:  # type: ignore[type-arg]
        """Return the dlt destination that writes to it, its merges atomic."""

    def input_destination(self) -> Destination:  # type: ignore[type-arg]
        """Return the dlt destination that the optional inputs are written with."""
        return self.destination()

    @property
    @abstractmethod
    def known_events(self) -> KnownEvents:
        """What `raw` holds of the lines of a load."""

    @abstractmethod
    def known_apart_from(self, batch_ids: Sequence[str]) -> KnownEvents:
        """Return what `raw` holds, without what came with these batches."""

    @abstractmethod
    def remove_rows(self, table: str, rows: pa.Table, key: Sequence[str]) -> None:
        """Remove from a table of `raw` those rows that agree with one of *rows* in *key*, of which none is null."""

    @abstractmethod
    def add_rows(self, table: str, rows: pa.Table) -> None:
        """Add *rows*, with all columns of a table of `raw`, to it."""

    @abstractmethod
    def rows(self, sql: str, values: Mapping[str, Any] | None = None) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query, few at a time; `$name` in *sql* stands for one of *values*."""

    @abstractmethod
    def arrow(self, sql: str, values: Mapping[str, Any] | None = None) -> pa.Table:
        """Return the rows of a query as Arrow."""

    @abstractmethod
    def publish(self, published: Path, load_seq: int) -> Path | None:
        """
        Give what was built to readers, all marts at once, and return the directory of the new generation.

        None where readers read the warehouse itself.
        """

    @abstractmethod
    def is_published(self, published: Path) -> bool:
        """Return whether readers have marts of any build."""

    def spare_memory(self, most_bytes: int) -> None:
        """Use no more memory than this, nor more than the engine takes by itself on a small machine."""

    def limit_memory(self, most_bytes: int) -> None:
        """Use no more memory than this for what it does in this process."""

    def reopen(self) -> None:
        """Let go of what the engine keeps in memory as long as it is open, where that grows with what is loaded."""

    @property
    def file_format(self) -> TLoaderFileFormat:
        """Return what dlt writes the rows of a load in."""
        return "parquet"

    def fitted(self, _table: str, rows: pa.Table) -> pa.Table:
        """Return *rows* for a table of `raw` as the engine can hold them; most hold all."""
        return rows

    long_text_type: ClassVar[str] = "varchar"
    """Of a column that our own SQL makes."""

    byte_order: ClassVar[str] = ' collate "C"'
    """Behind a text that is ordered: in the order of its bytes, whatever language the server speaks."""

    loads_whole: ClassVar[bool] = False
    """Whether a load that was interrupted left nothing: then it is read again, and otherwise dlt completes it."""

    runs_compiled: ClassVar[bool] = False
    """Whether `execute` may run what dbt compiled, and `changing` is a transaction."""

    @contextmanager
    def loading(self, displaced: pa.Table | None) -> Iterator[None]:
        """
        Stand by while dlt loads, and remove what its load displaced: rows of *displaced*, None where there are none.

        A row that gives way to one in the same table is gone already: it has the same key.
        """
        yield
        if displaced is not None:
            self.remove_displaced()

    commit_bytes: ClassVar[int] = 0
    """Of segments whose loads commit together at most; 0 where each commits by itself."""

    @contextmanager
    def together(self) -> Iterator[None]:
        """Stand by while several loads are loaded: one transaction, where `commit_bytes` says so."""
        yield

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Let dbt write to the warehouse meanwhile, and nobody else of us where the engine can tell us apart."""
        yield

    def changing(self, displaced: pa.Table | None) -> AbstractContextManager[None]:
        """Stand by while rows of `raw` are changed, in one transaction; *displaced* as `loading` has it."""
        return self.loading(displaced)

    def upgrade(self) -> None:
        """Bring the tables of a warehouse that an earlier version made to today's shape; again and again."""

    def table_names(self, schema: str) -> set[str]:
        """Return the names of the tables and views in *schema*; none where there is no such schema."""
        found = self.execute(
            "select table_name from information_schema.tables where table_schema = $schema", {"schema": schema}
        )
        return {name for (name,) in found}

    def missing_tables(self) -> set[str]:
        """Return the names of the raw tables that do not exist yet."""
        return set(RAW_TABLES) - self.table_names(DATASET)

    def inputs(self) -> set[str]:
        """Return the names of what `raw` may have and need not: the optional inputs ever loaded, and allocations."""
        names = self.table_names(DATASET)
        # Not looked for by name: the emulator of Snowflake lists no views.
        shown = {ALLOCATIONS} if self.allocations is not None and "payout_events" in names else set()
        return (names & {*INPUTS}) | shown

    @property
    def allocations(self) -> str | None:
        """SQL for what `raw.payout_events` says that a payout was allocated to; None where the engine has none."""
        return None

    def show_allocations(self) -> None:
        """Take apart what `raw.payout_events` keeps as JSON text, so that no mart has to."""
        if self.allocations is not None and "payout_events" in self.table_names(DATASET):
            self.execute(f"create or replace view {DATASET}.{ALLOCATIONS} as {self.allocations}")

    def last_load_seq(self) -> int:
        """Return the place of the newest load, 0 before the first."""
        if "loads" in self.missing_tables():
            return 0
        return int(self.execute(f"select coalesce(max(load_seq), 0) from {DATASET}.loads")[0][0])

    def loaded_batches(self, batch_ids: Sequence[str]) -> set[str]:
        """Return those of *batch_ids* whose load has committed."""
        return {batch_id for batch_id, _ in self._ledger_of(batch_ids)}

    def last_loaded_at(self) -> datetime | None:
        """Return when the newest load was read, UTC; None before the first."""
        if "loads" in self.missing_tables():
            return None
        [(moment,)] = self.execute(f"select max(loaded_at) from {DATASET}.loads")
        return None if moment is None else moment

    def open_by_source(self) -> dict[str, int]:
        """Return how many quarantined events have not been replayed, by source; none where there are none."""
        if self.missing_tables():
            return {}
        rows = self.execute(
            f"select source_id, count(*) from {DATASET}.quarantined_events where replayed_at is null group by source_id"
        )
        return {source: int(count) for source, count in rows}

    def ignored_by_source(self, after_load_seq: int = 0) -> dict[str, int]:
        """
        Return how many deliveries were no event by the mapping of their source; none where there are none.

        Of the deliveries loaded after *after_load_seq* only.
        """
        rows = self.execute(
            f"select source_id, count(*) from {DATASET}.deliveries "
            f"where load_seq > $load_seq and outcome = '{IGNORED}' group by source_id",
            {"load_seq": after_load_seq},
        )
        return {source: int(count) for source, count in rows}

    def secrets_by_source(self, after_load_seq: int = 0) -> dict[str, dict[str, datetime]]:
        """
        Return when the newest delivery that each secret verified was received, UTC, by source and secret.

        Of the deliveries loaded after *after_load_seq* only.
        """
        rows = self.execute(
            f"select source_id, secret_name, max(received_at) from {DATASET}.deliveries "
            "where load_seq > $load_seq and secret_name is not null and outcome in ('accepted', 'quarantined') "
            "group by source_id, secret_name",
            {"load_seq": after_load_seq},
        )
        found: dict[str, dict[str, datetime]] = {}
        for source, secret, last in rows:
            found.setdefault(source, {})[secret] = last
        return found

    def remove_displaced(self) -> None:
        """Remove the events that an earlier received copy took the place of, and mend what names them; repeatable."""
        for table in EVENT_COLUMNS:
            self.execute(f"""
                delete from {DATASET}.{table}
                where exists (
                    select 1
                    from {DATASET}.displaced_events as displaced
                    where
                        displaced.source_id = {table}.source_id
                        and displaced.event_id = {table}.event_id
                        and displaced.batch_id = {table}.batch_id
                )
            """)
        newest = f"""
            select displaced.source_id, displaced.event_id, displaced.kept_body_sha256
            from {DATASET}.displaced_events as displaced
            where displaced.load_seq = (
                select max(other.load_seq)
                from {DATASET}.displaced_events as other
                where other.source_id = displaced.source_id and other.event_id = displaced.event_id
            )
        """
        of_the_event = "newest.source_id = event_conflicts.source_id and newest.event_id = event_conflicts.event_id"
        self.execute(f"""
            delete from {DATASET}.event_conflicts
            where exists (
                select 1
                from ({newest}) as newest
                where {of_the_event} and newest.kept_body_sha256 = event_conflicts.body_sha256
            )
        """)
        self.execute(f"""
            update {DATASET}.event_conflicts
            set kept_body_sha256 = (select max(newest.kept_body_sha256) from ({newest}) as newest where {of_the_event})
            where exists (select 1 from ({newest}) as newest where {of_the_event})
        """)

    def settle(self) -> None:
        """Bring what is in a log into its place, after much was changed."""

    def compact(self) -> None:
        """Write the storage anew, so that nothing of what was removed or replaced stays on the disk."""

    def empty_staging(self) -> None:
        """Remove the rows that dlt left in its staging tables; they are merged, or will be read again."""
        schemas = self.execute("select schema_name from information_schema.schemata")
        for schema in sorted({name for (name,) in schemas if name.startswith(f"{DATASET}_staging")}):
            for table in sorted(self.table_names(schema)):
                if not table.startswith("_dlt"):
                    self.execute(f"delete from {schema}.{table} where 1 = 1")

    def begin_changes(self) -> None:
        """Count a build that changes the marts, within its transaction."""

    def note_changes(self, mart: ChangedMart) -> None:
        """Note what the build did to *mart*, for the next publication."""

    def forget_changes(self) -> None:
        """Have the next publication take nothing for known."""

    def _ledger_of(self, batch_ids: Sequence[str]) -> Iterator[tuple[str, int]]:
        """Yield batch and place of every row that the ledger of loads has of *batch_ids*."""
        if not batch_ids or "loads" in self.missing_tables():
            return
        for start in range(0, len(batch_ids), _NAMES_AT_A_TIME):
            names = {f"batch_{at}": name for at, name in enumerate(batch_ids[start : start + _NAMES_AT_A_TIME])}
            places = ", ".join(f"${name}" for name in names)
            yield from (
                (batch_id, int(load_seq))
                for batch_id, load_seq in self.execute(
                    f"select distinct batch_id, load_seq from {DATASET}.loads where batch_id in ({places})", names
                )
            )


def not_of(batch_ids: Sequence[str], alias: str | None = None) -> str:
    """Return SQL, true of rows of `raw` that came with another batch."""
    column = "batch_id" if alias is None else f"{alias}.batch_id"
    return f"{column} not in ({quoted_names(batch_ids)})" if batch_ids else "true"


def quoted_names(batch_ids: Sequence[str]) -> str:
    """Return *batch_ids* for an `in (...)`; they are digits, letters and dashes."""
    return ", ".join(f"'{batch_id}'" for batch_id in batch_ids if re.fullmatch(r"[\w.-]+", batch_id))


def by_name(sql: str, values: Mapping[str, Any] | None) -> str:
    """Return *sql* with `%(name)s` for each `$name`, as drivers after Python's DB-API want it."""
    return sql if values is None else re.sub(r"\$([a-z]\w*)", r"%(\1)s", sql.replace("%", "%%"))
