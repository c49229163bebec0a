"""A warehouse on a PostgreSQL server."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import psycopg2
import psycopg2.errors
import psycopg2.extensions
import pyarrow as pa
from dlt.common.destination import Destination

from models.columns import EVENT_COLUMNS
from pipelines.errors import NotPublishedError, QueryError, WarehouseAwayError, WarehouseLockedError
from pipelines.extraction import MONEY_TEXT
from pipelines.loader_name import loader_name
from pipelines.postgres_arrow import copy_in, fetch, put
from pipelines.postgres_connection import connect, loss_in, refusal_in, sentence, transaction
from pipelines.postgres_destination import CopyingPostgres, HeldPostgres
from pipelines.postgres_known_events import EventsOnServer
from pipelines.postgres_publication import BUILT, PUBLISHED, is_published, publish_marts
from pipelines.raw_tables import DATASET, RAW_TABLES, RawTable
from pipelines.warehouse import LOCK_PATIENCE, MartReader, Warehouse, WarehouseSession, by_name, not_of, quoted_names

_LOCK = 0x686F6F6B6D617274
"""The advisory lock of whoever writes: one loader or build per database. "hookmart" in ASCII."""

_FETCHED_ROWS = 100
_STAGING_NAME = "staging-schema"
_DISPLACED = "displaced_rows"

OUR_SCHEMAS = (DATASET, "staging", "intermediate", BUILT, PUBLISHED)

_COUNTED_BY_DAY = {*EVENT_COLUMNS, "quarantined_events", "deliveries"}
"""The tables whose rows of a day the status counts after each load."""


_ALLOCATIONS = f"""
    select
        source_id,
        event_id,
        position,
        item ->> 'commission_id' as commission_id,
        item ->> 'adjustment_id' as adjustment_id,
        case
            when (item -> 'amount' ->> 'amount') ~ '^{MONEY_TEXT}$'
            then cast(item -> 'amount' ->> 'amount' as numeric(28, 8))
        end as amount,
        upper(item -> 'amount' ->> 'currency') as currency
    from {DATASET}.payout_events
    cross join lateral json_array_elements(
        case when json_typeof(cast(allocations as json)) = 'array' then cast(allocations as json) end
    ) with ordinality as items (item, position)
    where json_typeof(item) = 'object'
"""


@dataclass(frozen=True, slots=True)
class PostgresWarehouse(Warehouse):
    """
    One database of a PostgreSQL server; schema `marts` in it is for readers.

    Attributes:
        url: `postgresql://user:password@host:port/database`, libpq's options behind a `?`.
        state: Keeps the name of this loader's own staging schema.
        patience: Seconds to wait while the server does not answer, or another loader or build works there.
        notice: Told once, when a wait begins.
    """

    url: str = field(repr=False)
    state: Path
    patience: float = LOCK_PATIENCE
    notice: Callable[[str], None] = lambda _message: None

    def __post_init__(self) -> None:
        """
        Look at the URL.

        Raises:
            ValueError: It is none; the message says what is missing, and not what it holds.
        """
        try:
            given = psycopg2.extensions.parse_dsn(self.url)
        except psycopg2.ProgrammingError:
            given = {}
        missing = {"user", "host", "dbname"} - given.keys()
        if not self.url.startswith(("postgresql://", "postgres://")) or missing:
            raise ValueError("is not a URL such as postgresql://user:password@host:5432/database; write it so")

    def __str__(self) -> str:
        """Say where it is, without the password."""
        given = self._parts()
        return f"postgresql://{given['host']}:{given['port']}/{given['dbname']}"

    @property
    def dbt_target(self) -> str:
        """The output `postgres`."""
        return "postgres"

    def dbt_environment(self) -> Mapping[str, str]:
        """Return where the server is, and how to get in."""
        given = self._parts()
        return {
            "HOOKMART_POSTGRES_HOST": given["host"],
            "HOOKMART_POSTGRES_PORT": given["port"],
            "HOOKMART_POSTGRES_USER": given["user"],
            "HOOKMART_POSTGRES_DATABASE": given["dbname"],
            "HOOKMART_POSTGRES_SSLMODE": given.get("sslmode", "prefer"),
            "HOOKMART_POSTGRES_SSLROOTCERT": given.get("sslrootcert", ""),
            # dbt takes the value of a variable named so out of all it says.
            "DBT_ENV_SECRET_HOOKMART_POSTGRES": given.get("password", ""),
        }

    def exists(self) -> bool:
        """Return True: only the server knows."""
        return True

    @contextmanager
    def session(self, memory: int | None = None) -> Iterator["PostgresSession"]:  # noqa: ARG002 - a server has its own
        """
        Hold the warehouse for writing; loaders and builds of other machines wait.

        Raises:
            WarehouseAwayError: The server does not answer, does not let us in, refuses what we need, or went away.
            WarehouseLockedError: Another loader or build worked there for longer than `patience`.
        """
        connection = connect(self._parts(), str(self), self.patience, self.notice)
        try:
            self._lock(connection)
            session = PostgresSession(connection, self)
            session.upgrade()
            yield session
        except Exception as error:
            loss = loss_in(error, connection)
            if loss is not None:
                message = f"The warehouse {self} went away: {loss}. What was received stays staged."
                raise WarehouseAwayError(message) from error
            refusal = refusal_in(error)
            if refusal is not None:
                message = f"The warehouse {self} refuses: {refusal}; what was received stays staged until then."
                raise WarehouseAwayError(message) from error
            raise
        finally:
            connection.close()

    @contextmanager
    def reading(self, _published: Path) -> Iterator[MartReader]:
        """Give a reader of the server, in one transaction that only reads."""
        connection = connect(self._parts(), str(self), self.patience, self.notice)
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"begin isolation level repeatable read read only; set search_path = {PUBLISHED}")
                cursor.execute("select count(*) from pg_tables where schemaname = %s", [PUBLISHED])
                if not cursor.fetchone()[0]:
                    raise NotPublishedError(
                        f"Nothing is published in {self}; run `hookmart load` and `hookmart build` first."
                    )

                def rows(sql: str, values: Mapping[str, Any]) -> pa.Table:
                    try:
                        return fetch(connection, _filled(connection, sql.strip().rstrip(";"), values))
                    except psycopg2.Error as error:
                        raise QueryError(sentence(error)) from error

                yield rows
        finally:
            connection.close()

    @property
    def staging_schema(self) -> str:
        """
        The schema where this loader's rows wait for their merge.

        It is this loader's own: a load that was interrupted goes on with the rows it left there, and those of another
        loader must not stand in their place.
        """
        return loader_name(self.state / _STAGING_NAME)

    def dlt_credentials(self) -> dict[str, Any]:
        """Return the URL taken apart; dlt asks for a password even where the server does not."""
        given = self._parts()
        names = {"host": "host", "port": "port", "username": "user", "database": "dbname"}
        rest = {name: value for name, value in given.items() if name not in {*names.values(), "password"}}
        parts = {name: given[option] for name, option in names.items()}
        return {**parts, "password": given.get("password", ""), "query": rest}

    def _parts(self) -> dict[str, str]:
        return {"port": "5432", **psycopg2.extensions.parse_dsn(self.url)}

    def _lock(self, connection: Any) -> None:
        deadline = time.monotonic() + self.patience
        told = False
        with connection.cursor() as cursor:
            while True:
                cursor.execute("select pg_try_advisory_lock(%s)", [_LOCK])
                if cursor.fetchone()[0]:
                    return
                if time.monotonic() >= deadline:
                    message = (
                        f"Another loader or build works in the warehouse {self}. Wait for it, or stop it there; what "
                        "was received stays staged until then."
                    )
                    raise WarehouseLockedError(message)
                if not told:
                    self.notice(f"waiting: another loader or build works in {self}")
                    told = True
                time.sleep(0.1)


@dataclass(frozen=True, slots=True)
class PostgresSession(WarehouseSession):
    """A connection that holds the warehouse's lock, and commits every statement by itself."""

    connection: Any
    warehouse: PostgresWarehouse

    loads_whole: ClassVar[bool] = True
    """A load is one transaction."""

    @property
    def allocations(self) -> str:
        """SQL for what `raw.payout_events` says that a payout was allocated to."""
        return _ALLOCATIONS

    def destination(self) -> Destination:  # type: ignore[type-arg]
        """Return the destination that writes in the transaction that `loading` holds."""
        return HeldPostgres(self.connection, self.warehouse.dlt_credentials())

    def input_destination(self) -> Destination:  # type: ignore[type-arg]
        """Return the destination that merges from a staging schema, on connections of its own, its merges atomic."""
        return CopyingPostgres(
            self.warehouse.dlt_credentials(),
            staging_dataset_name_layout=self.warehouse.staging_schema,
            create_indexes=False,
        )

    @contextmanager
    def loading(self, displaced: pa.Table | None) -> Iterator[None]:
        """Hold a transaction: what is loaded meanwhile is there whole or not at all, *displaced* gone with it."""
        with transaction(self.connection):
            if displaced is not None:
                # Before the load, because the index of their key takes no second row beside them.
                put(self.connection, _DISPLACED, displaced.select(["source_id", "event_id", "batch_id"]))
                for table in EVENT_COLUMNS:
                    self.execute(f"""
                        delete from {DATASET}.{table} as held using {_DISPLACED} as displaced
                        where
                            held.source_id = displaced.source_id
                            and held.event_id = displaced.event_id
                            and held.batch_id = displaced.batch_id
                    """)
                self.execute(f"drop table {_DISPLACED}")
            yield
            if displaced is not None:
                self.remove_displaced()

    @property
    def known_events(self) -> EventsOnServer:
        """What `raw` holds of the lines of a load."""
        return self.known_apart_from(())

    def known_apart_from(self, batch_ids: Sequence[str]) -> EventsOnServer:
        """Return the same without what came with these batches."""
        return EventsOnServer(self.connection, bool(self.missing_tables()), not_of(batch_ids, "held"))

    def remove_rows(self, table: str, rows: pa.Table, key: Sequence[str]) -> None:
        """Remove from a table of `raw` those that agree with one of *rows* in *key*."""
        same = " and ".join(f"held.{name} = leaving.{name}" for name in key)
        self.execute(f"create temporary table leaving as select {', '.join(key)} from {DATASET}.{table} where false")
        copy_in(self.connection, "leaving", rows.select(list(key)))
        self.execute(f"delete from {DATASET}.{table} as held using leaving where {same}")
        self.execute("drop table leaving")

    def add_rows(self, table: str, rows: pa.Table) -> None:
        """Add *rows* to a table of `raw`."""
        copy_in(self.connection, f"{DATASET}.{table}", rows)

    def rows(self, sql: str, values: Mapping[str, Any] | None = None) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query, few at a time."""
        with self.connection.cursor(f"rows_{uuid4().hex}", withhold=True) as cursor:
            cursor.itersize = _FETCHED_ROWS
            cursor.execute(by_name(sql, values), values)
            yield from cursor

    def execute(self, sql: str, values: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Run *sql*, which has committed on return, and return its rows."""
        with self.connection.cursor() as cursor:
            cursor.execute(by_name(sql, values), values)
            return [] if cursor.description is None else cursor.fetchall()

    def arrow(self, sql: str, values: Mapping[str, Any] | None = None) -> pa.Table:
        """Return the rows of a query as Arrow."""
        return fetch(self.connection, _filled(self.connection, sql, values))

    def publish(self, _published: Path, _load_seq: int) -> None:
        """Bring schema `marts` up to what was built."""
        publish_marts(self.connection, self.warehouse.patience)

    def is_published(self, _published: Path) -> bool:
        """Return whether every mart that was built is in `marts`."""
        return is_published(self.connection)

    def compact(self, schemas: Sequence[str] = OUR_SCHEMAS) -> None:
        """
        Write every table of ours anew, without the rows that were removed, and what the planner knows of them.

        The planner's figures quote values; only the owner of the database may write their table anew.
        """
        tables = self.execute(
            "select schemaname, tablename from pg_tables "
            rf"where schemaname in ({quoted_names(schemas)}) or schemaname like '{DATASET}\_staging%'"
        )
        for schema, table in sorted(tables):
            self.execute(f'vacuum (full, analyze) "{schema}"."{table}"')
        with suppress(psycopg2.errors.InsufficientPrivilege):
            self.execute("vacuum full pg_catalog.pg_statistic")

    def upgrade(self) -> None:
        """Give every table of `raw` the indexes that keep looking up and merging as fast as they were at first."""
        present = self.table_names(DATASET)
        # Not by `if not exists`, which asks for a lock all the same, and breaks off a vacuum that is at work there.
        found = self.execute("select indexname from pg_indexes where schemaname = $schema", {"schema": DATASET})
        indexes = {name for (name,) in found}
        for table in RAW_TABLES.values():
            for name, columns in _indexes(table).items():
                if table.name in present and name not in indexes:
                    # Also the last net: no key stands there twice, whatever anyone does.
                    unique = "unique " if columns == table.key else ""
                    self.execute(f"create {unique}index {name} on {DATASET}.{table.name} ({', '.join(columns)})")


def _indexes(table: RawTable) -> dict[str, tuple[str, ...]]:
    """Return the columns of each index of *table*, by its name."""
    indexes = {f"{table.name}_key": table.key, f"{table.name}_load_seq": ("load_seq",)}
    if table.name in _COUNTED_BY_DAY:
        indexes[f"{table.name}_received_at"] = ("received_at", "source_id")
    return indexes


def _filled(connection: Any, sql: str, values: Mapping[str, Any] | None) -> str:
    """Return *sql* with *values* in their places: COPY takes them no other way."""
    if not values:
        return sql
    with connection.cursor() as cursor:
        return str(cursor.mogrify(by_name(sql, values), values).decode())
