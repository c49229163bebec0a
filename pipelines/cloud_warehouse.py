"""
A warehouse on Snowflake, BigQuery or Redshift, through dlt's own connection to it.

A load is one transaction: dlt brings its rows into a staging schema of this loader's own, and the session merges them
into all tables of `raw` at once. So a load that was killed left nothing, and its segments are read again. The marts are
built beside `marts`, and go there in one transaction.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import sqlglot
from dlt.common.destination import Destination, TLoaderFileFormat
from dlt.common.schema import Schema
from dlt.destinations.exceptions import (
    DatabaseException,
    DatabaseUndefinedRelation,
    DestinationConnectionError,
)
from dlt.pipeline.exceptions import PipelineStepFailed
from sqlglot import exp
from sqlglot.errors import SqlglotError

from pipelines import cloud_statements as statements
from pipelines.cloud_allocations import ALLOCATIONS
from pipelines.cloud_destination import Arrived, arriving_at
from pipelines.cloud_engines import Engine
from pipelines.cloud_known_events import EventsInCloud
from pipelines.cloud_lease import CloudLease
from pipelines.dlt_settings import apply_dlt_settings
from pipelines.errors import NotPublishedError, QueryError, WarehouseAwayError
from pipelines.raw_tables import DATASET, RAW_TABLES
from pipelines.warehouse import LOCK_PATIENCE, MartReader, Warehouse, WarehouseSession, by_name, not_of

_FETCHED_ROWS = 100

_TROUBLE = (DatabaseException, DestinationConnectionError, PipelineStepFailed)


@dataclass(frozen=True, slots=True)
class CloudWarehouse(Warehouse):
    """
    One database of a cloud warehouse; schema `marts` in it is for readers.

    Attributes:
        engine: Which, and how to get in.
        state: Keeps the name by which this loader is known there.
        patience: Seconds to wait while another loader or build works there.
        notice: Told once, when a wait begins, and about texts that were left out.
    """

    engine: Engine
    state: Path
    patience: float = LOCK_PATIENCE
    notice: Callable[[str], None] = lambda _message: None

    def __str__(self) -> str:
        """Say where it is, without secrets."""
        return str(self.engine)

    @property
    def dbt_target(self) -> str:
        """The output of the engine's own name."""
        return self.engine.dialect

    def dbt_environment(self) -> Mapping[str, str]:
        """Return where the warehouse is, and how to get in."""
        return self.engine.dbt_environment()

    def exists(self) -> bool:
        """Return True: only the warehouse knows."""
        return True

    @property
    def lease(self) -> CloudLease:
        """Who may write there, and this loader's name in it."""
        return CloudLease(self.engine, self.state, self.patience, self.notice)

    @contextmanager
    def session(self, memory: int | None = None) -> Iterator["CloudSession"]:  # noqa: ARG002 - a server has its own
        """
        Hold the warehouse for writing; loaders and builds of other machines wait.

        Raises:
            WarehouseAwayError: It does not answer, does not let us in, or refuses what we need.
            WarehouseLockedError: Another loader or build worked there for longer than `patience`.
        """
        with self.lease.held_here(), self._connected(DATASET) as client:
            session = CloudSession(client, self)
            self.lease.take(session.execute)
            try:
                yield session
            finally:
                # Whoever finds it taken waits for an hour at most.
                with suppress(*_TROUBLE):
                    self.lease.release(session.execute)

    @contextmanager
    def reading(self, _published: Path) -> Iterator[MartReader]:
        """Give a reader that finds the marts without their schema; each query sees one state of each mart."""
        with self._connected(statements.PUBLISHED) as client:
            session = CloudSession(client, self)
            if not session.table_names(statements.PUBLISHED):
                raise NotPublishedError(
                    f"Nothing is published in {self}; run `hookmart load` and `hookmart build` first."
                )

            def rows(sql: str, values: Mapping[str, Any]) -> pa.Table:
                self._refuse_writing(sql)
                try:
                    return session.arrow(sql, values)
                except DatabaseException as error:
                    raise QueryError(_sentence(error)) from error

            yield rows

    def close_dbt(self) -> None:
        """Close the connections that dbt keeps from node to node."""
        # dbt takes seconds to import; no other command should pay for it.
        from dbt.adapters.factory import FACTORY  # noqa: PLC0415

        adapters: Any = FACTORY.adapters
        for adapter in adapters.values():
            adapter.cleanup_connections()

    def _refuse_writing(self, sql: str) -> None:
        try:
            asked = sqlglot.parse(sql, read=self.engine.dialect)
        except SqlglotError as error:
            raise QueryError(str(error).partition("\n")[0]) from error
        writes = (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Create, exp.Drop, exp.Command)
        if len(asked) != 1 or not isinstance(asked[0], exp.Query) or asked[0].find(*writes):
            raise QueryError("only one query that reads is taken here")

    @contextmanager
    def _connected(self, schema: str) -> Iterator[Any]:
        apply_dlt_settings()
        destination = self.engine.destination()
        settings = destination.spec()._bind_dataset_name(dataset_name=schema)  # noqa: SLF001 - dlt's own way
        client = destination.client(Schema("hookmart"), settings).sql_client
        opened = False
        try:
            with client:
                opened = True
                yield client
        except _TROUBLE as error:
            if opened:
                message = (
                    f"The warehouse {self} refuses: {_sentence(error)}; what was received stays staged until then."
                )
            else:
                message = (
                    f"The warehouse {self} does not let us in: {_sentence(error)}. Correct what `credentials` in "
                    "[warehouse] names, or what is allowed there; what was received stays staged until then."
                )
            raise WarehouseAwayError(message) from error


@dataclass(frozen=True, slots=True)
class CloudSession(WarehouseSession):
    """dlt's connection, which commits every statement by itself, and the lease on the warehouse."""

    client: Any
    warehouse: CloudWarehouse
    _arrived: Arrived = field(default_factory=dict)

    loads_whole: ClassVar[bool] = True
    """A load is one transaction."""

    byte_order: ClassVar[str] = ""

    @property
    def long_text_type(self) -> str:  # type: ignore[override]
        """Of a column that our own SQL makes."""
        return self.warehouse.engine.long_text_type

    @property
    def allocations(self) -> str:
        """SQL for what `raw.payout_events` says that a payout was allocated to."""
        return ALLOCATIONS[self.warehouse.engine.dialect]

    @property
    def file_format(self) -> TLoaderFileFormat:
        """What dlt can bring there without a bucket in between."""
        return self.warehouse.engine.file_format

    def fitted(self, table: str, rows: pa.Table) -> pa.Table:
        """Return *rows* without the texts that are too long for the engine: null there, and told."""
        longest = self.warehouse.engine.longest_text
        return rows if longest is None else self._shortened(table, rows, longest)

    def _shortened(self, name: str, rows: pa.Table, longest: int) -> pa.Table:
        import pyarrow.compute as pc  # noqa: PLC0415 - one engine needs it

        for at, column in enumerate(rows.schema):
            if not pa.types.is_string(column.type):
                continue
            is_long = pc.fill_null(pc.greater(pc.binary_length(rows[column.name]), longest), fill_value=False)
            number = pc.sum(is_long).as_py()
            if number:
                self.warehouse.notice(
                    f"{number} texts of {name}.{column.name} are longer than {longest} bytes, which is all that "
                    f"{self.warehouse} holds: null there, whole in the archive"
                )
                shorter = pc.if_else(is_long, pa.scalar(None, column.type), rows[column.name])
                rows = rows.set_column(at, column, shorter)
        return rows

    def destination(self) -> Destination:  # type: ignore[type-arg]
        """Return the destination that brings rows where `loading` merges them from."""
        return arriving_at(self.warehouse.engine, self.warehouse.lease.holder, self._arrived)

    def input_destination(self) -> Destination:  # type: ignore[type-arg]
        """Return dlt's own destination: it merges table by table, each in one transaction."""
        return self.warehouse.engine.destination(staging_dataset_name_layout=self.warehouse.lease.holder)

    @contextmanager
    def loading(self, displaced: pa.Table | None) -> Iterator[None]:
        """Merge what dlt brought in one transaction: all of it is there, or nothing, *displaced* gone with it."""
        self._arrived.clear()
        yield
        with self.client.begin_transaction():
            # Nobody can have taken the lease and commit as well: both write the same row.
            self.warehouse.lease.renew(self.execute)
            if displaced is not None:
                # Before what takes their place, which would be taken for known.
                self._merge("displaced_events")
                self.remove_displaced()
            for table in sorted(self._arrived):
                self._merge(table)
            if displaced is not None:
                self.remove_displaced()
        self._arrived.clear()

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Let dbt write meanwhile, if the lease is ours before and after."""
        self.warehouse.lease.renew(self.execute)
        yield
        self.warehouse.lease.renew(self.execute)

    @property
    def known_events(self) -> EventsInCloud:
        """What `raw` holds of the lines of a load."""
        return self.known_apart_from(())

    def known_apart_from(self, batch_ids: Sequence[str]) -> EventsInCloud:
        """Return the same without what came with these batches."""
        others = not_of(batch_ids) if batch_ids else "1 = 1"
        return EventsInCloud(self.execute, bool(self.missing_tables()), others)

    @contextmanager
    def changing(self, displaced: pa.Table | None) -> Iterator[None]:
        """Hold a transaction: what is changed meanwhile is all there or not at all, *displaced* gone with it."""
        with self.client.begin_transaction():
            self.warehouse.lease.renew(self.execute)
            yield
            if displaced is not None:
                self.remove_displaced()

    def remove_rows(self, table: str, rows: pa.Table, key: Sequence[str]) -> None:
        """Remove from a table of `raw` those that agree with one of *rows* in *key*."""
        for sql, values in statements.removal(table, list(key), rows.select(list(key)).to_pylist()):
            self.execute(sql, values)

    def add_rows(self, table: str, rows: pa.Table) -> None:
        """Add *rows* to a table of `raw`; few, since they go in the statement."""
        for sql, values in statements.addition(table, rows.schema.names, self.fitted(table, rows).to_pylist()):
            self.execute(sql, values)

    def empty_staging(self) -> None:
        """Remove what dlt left in this loader's staging schema."""
        for table in sorted(self.table_names(self.warehouse.lease.holder)):
            if not table.startswith("_dlt"):
                self.execute(f"delete from {self.warehouse.lease.holder}.{table} where 1 = 1")

    def rows(self, sql: str, values: Mapping[str, Any] | None = None) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query, few at a time."""
        text, bound = self._bound(sql, values)
        with self.client.execute_query(text, **bound) as cursor:
            while fetched := cursor.fetchmany(_FETCHED_ROWS):
                yield from map(_plain, fetched)

    def execute(self, sql: str, values: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Run *sql*, which has taken effect on return unless `loading` is under way, and return its rows."""
        text, bound = self._bound(sql, values)
        found = self.client.execute_sql(text, **bound)
        return [_plain(row) for row in found or ()]

    def arrow(self, sql: str, values: Mapping[str, Any] | None = None) -> pa.Table:
        """Return the rows of a query as Arrow; whole in memory."""
        text, bound = self._bound(sql, values)
        with self.client.execute_query(text, **bound) as cursor:
            names = [column[0].lower() for column in cursor.description or ()]
            rows = [_plain(row) for row in cursor.fetchall()]
        return pa.table([pa.array([row[at] for row in rows]) for at in range(len(names))], names=names)

    def table_names(self, schema: str) -> set[str]:
        """Return the names of the tables and views in *schema*; none where there is no such schema."""
        try:
            found = self.execute(statements.table_names(self._information_schema(schema)), {"schema": schema})
        except DatabaseUndefinedRelation:
            return set()
        return {name for (name,) in found}

    def publish(self, _published: Path, _load_seq: int) -> None:
        """Give schema `marts` the rows that were built, all marts at once."""
        self.execute(f"create schema if not exists {statements.PUBLISHED}")
        built, published = self._columns(statements.BUILT), self._columns(statements.PUBLISHED)
        for table in built:
            if published.get(table) != built[table]:
                for sql in statements.reshape(table):
                    self.execute(sql)
        with self.client.begin_transaction():
            for table, columns in built.items():
                for sql in statements.republish(table, list(columns)):
                    self.execute(sql)

    def is_published(self, _published: Path) -> bool:
        """Return whether every mart that was built is in `marts`."""
        built = self.table_names(statements.BUILT)
        return bool(built) and built <= self.table_names(statements.PUBLISHED)

    def _bound(self, sql: str, values: Mapping[str, Any] | None) -> tuple[str, dict[str, Any]]:
        """Return *sql* and *values* as dlt's connections take them: a null has no type, so it goes in as a word."""
        given = dict(values or {})
        for name in [name for name, value in given.items() if value is None]:
            sql = re.sub(rf"\${name}\b", "null", sql)
            del given[name]
        if self.warehouse.engine.zones:
            for name, value in given.items():
                given[name] = value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
        return by_name(sql, given or None), given

    def _merge(self, table: str) -> None:
        columns = self._arrived.get(table)
        if columns:
            for sql in statements.merge(RAW_TABLES[table], columns, self.warehouse.lease.holder):
                self.execute(sql)

    def _columns(self, schema: str) -> dict[str, dict[str, str]]:
        """Return the type of every column, by table and name."""
        found: dict[str, dict[str, str]] = {}
        with suppress(DatabaseUndefinedRelation):
            rows = self.execute(statements.columns(self._information_schema(schema)), {"schema": schema})
            for table, column, kind in rows:
                found.setdefault(table, {})[column] = kind
        return found

    def _information_schema(self, schema: str) -> str:
        return self.warehouse.engine.information_schema(schema)


def _plain(row: Any) -> tuple[Any, ...]:
    """Return *row* with its instants in UTC without a zone, as `raw` has them on every engine."""
    return tuple(
        each.astimezone(UTC).replace(tzinfo=None) if isinstance(each, datetime) and each.tzinfo is not None else each
        for each in row
    )


def _sentence(error: BaseException) -> str:
    """Return the first line of what the warehouse said."""
    if isinstance(error, PipelineStepFailed) and error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip().partition("\n")[0].rstrip(".")
