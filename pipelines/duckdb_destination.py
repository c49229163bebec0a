"""
dlt's DuckDB destination inside the transaction that the session holds: one load commits whole or not at all.

dlt's own copies every row to a staging table first, and merges table by table, each in a transaction of its own, with
a search for every key in the whole history. Here a row goes straight where it belongs. That events are new was found
out just before, under the same lock (`pipelines.duckdb_known_events`); what else may repeat is looked for in the days
that the load is about.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dlt
import duckdb
from dlt.common.destination import DestinationCapabilitiesContext, PreparedTableSchema
from dlt.common.destination.client import FollowupJobRequest, LoadJob, RunnableLoadJob
from dlt.common.normalizers.naming import NamingConvention
from dlt.common.schema import Schema
from dlt.destinations.impl.duckdb.configuration import DuckDbClientConfiguration
from dlt.destinations.impl.duckdb.duck import DuckDbClient
from dlt.destinations.impl.duckdb.sql_client import DuckDbSqlClient
from dlt.destinations.sql_client import raise_database_error

from models.columns import EVENT_COLUMNS
from pipelines.duckdb_known_events import remember
from pipelines.raw_tables import RAW_TABLES, RawTable


class HeldSqlClient(DuckDbSqlClient):
    """Speaks on the session's own connection, and begins no transaction: there is one."""

    def open_connection(self) -> duckdb.DuckDBPyConnection:
        """Return the session's connection."""
        self._conn = self.credentials.external_conn()  # type: ignore[assignment]
        return self._conn

    def close_connection(self) -> None:
        """Leave it open."""
        self._conn = None  # type: ignore[assignment]

    @contextmanager
    def begin_transaction(self) -> Iterator[Any]:
        """Stay in the one that is open."""
        yield self

    @contextmanager
    @raise_database_error
    def execute_query(self, query: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """Run *query*; unlike dlt's own, an error does not roll back what the session holds."""
        values = args or kwargs or None
        cursor: Any = self._conn.execute(query.replace("%s", "?") if values else query, values)
        yield self.cursor_impl(cursor)


class InsertJob(RunnableLoadJob):
    """The rows of one Parquet file into their table."""

    _job_client: DuckDbClient

    def run(self) -> None:
        """Insert the rows that the table does not have."""
        client = self._job_client.sql_client
        name = self.load_table_name
        table = client.make_qualified_table_name(name)
        rows = f"read_parquet({client.capabilities.escape_literal(self._file_path)})"
        if name in EVENT_COLUMNS:
            client.execute_sql(f"insert into {table} by name select * from {rows}")
            remember(client.native_connection, rows)
        else:
            for statement in _merge(RAW_TABLES[name], table, rows):
                client.execute_sql(statement)


def _merge(raw: RawTable, table: str, rows: str) -> Iterator[str]:
    same = " and ".join(f"held.{column} = arriving.{column}" for column in raw.key)
    if raw.replaced_when is not None:
        yield (f"delete from {table} as held using {rows} as arriving where {same} and ({raw.replaced_when})")
    days = f"select min({raw.clock}) as first, max({raw.clock}) as last from {rows}" if raw.clock else None
    near = f" where {raw.clock} between (select first from days) and (select last from days)" if days else ""
    yield (
        (f"with days as materialized ({days}) " if days else "")
        + f"insert into {table} by name select arriving.* from {rows} as arriving "
        f"anti join (select {', '.join(raw.key)} from {table}{near}) as held on {same}"
    )


class HeldClient(DuckDbClient):
    """dlt's client with the SQL client and the job above, and without staging tables."""

    def __init__(
        self, schema: Schema, config: DuckDbClientConfiguration, capabilities: DestinationCapabilitiesContext
    ) -> None:
        super().__init__(schema, config, capabilities)
        stock = self.sql_client
        self.sql_client = HeldSqlClient(
            stock.dataset_name, stock.staging_dataset_name, stock.credentials, stock.capabilities
        )

    def should_load_data_to_staging_dataset(self, table_name: str) -> bool:  # noqa: ARG002 - dlt's signature
        """Return False."""
        return False

    def create_table_chain_completed_followup_jobs(self, *_args: Any, **_kwargs: Any) -> list[FollowupJobRequest]:
        """Return nothing: there is nothing left to merge."""
        return []

    # The flag is in dlt's signature.
    def create_load_job(
        self,
        table: PreparedTableSchema,
        file_path: str,
        load_id: str,
        restore: bool = False,  # noqa: FBT001, FBT002
    ) -> LoadJob:
        """Return the job that inserts the file."""
        if file_path.endswith(".parquet"):
            return InsertJob(file_path)
        return super().create_load_job(table, file_path, load_id, restore)


class HeldDuckDB(dlt.destinations.duckdb):
    """Loads on the session's own connection."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        super().__init__(connection)
        self._capabilities: dict[str, DestinationCapabilitiesContext] = {}

    def capabilities(
        self, config: DuckDbClientConfiguration | None = None, naming: NamingConvention | None = None
    ) -> DestinationCapabilitiesContext:
        """Return what it can; dlt asks thirty times in a load, and works it out from its configuration each time."""
        key = "" if naming is None else naming.name()
        if key not in self._capabilities:
            self._capabilities[key] = super().capabilities(config, naming)
        return self._capabilities[key].copy()

    @property
    def client_class(self) -> type[HeldClient]:
        """The client above."""
        return HeldClient


HeldDuckDB.register()
