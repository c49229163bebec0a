"""
dlt's PostgreSQL destination, twice: one load in the transaction that the session holds, and for the optional inputs.

dlt's own copies every row to a staging table first, and merges table by table, each in a transaction of its own. Here a
row goes straight where it belongs. That events are new was found out just before, under the same lock
(`pipelines.postgres_known_events`); the unique index of each table's key is the net below. A row goes by a COPY of our
own: dlt's way by CSV makes nulls of empty texts, its way by ADBC fails on a file without rows and wants one more
driver, and its way by INSERT makes a load three times as long.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import pyarrow.parquet as pq
from dlt.common.destination import DestinationCapabilitiesContext, PreparedTableSchema
from dlt.common.destination.client import FollowupJobRequest, HasFollowupJobs, LoadJob, RunnableLoadJob
from dlt.common.schema import Schema
from dlt.destinations import postgres
from dlt.destinations.exceptions import LoadJobTerminalException
from dlt.destinations.impl.postgres.configuration import PostgresClientConfiguration
from dlt.destinations.impl.postgres.postgres import PostgresClient
from dlt.destinations.impl.postgres.sql_client import Psycopg2SqlClient
from dlt.destinations.sql_client import DBApiCursorImpl, raise_database_error

from models.columns import EVENT_COLUMNS
from pipelines.postgres_arrow import copy_in
from pipelines.raw_tables import RAW_TABLES, RawTable

_BYTES_AT_A_TIME = 16 * 1024 * 1024
"""Of rows in memory at once, about; a larger row goes alone."""

_ARRIVING = "arriving"


class ParquetCopyJob(RunnableLoadJob, HasFollowupJobs):
    """One file of a load package into the table it is for, in one transaction."""

    _job_client: PostgresClient

    def run(self) -> None:
        """Copy the file's rows, a part of them in memory at a time."""
        client = self._job_client.sql_client
        with client.begin_transaction():
            self._copy_to(client.make_qualified_table_name(self.load_table_name))

    def _copy_to(self, table: str) -> None:
        with pq.ParquetFile(self._file_path) as file:
            groups = [file.metadata.row_group(at) for at in range(file.metadata.num_row_groups)]
            size = max(1, sum(group.total_byte_size for group in groups))
            for rows in file.iter_batches(max(1, file.metadata.num_rows * _BYTES_AT_A_TIME // size)):
                copy_in(self._job_client.sql_client.native_connection, table, rows)


class InsertJob(ParquetCopyJob):
    """The rows of one file that their table does not have."""

    def run(self) -> None:
        """
        Copy new events; compare what else may repeat.

        Raises:
            LoadJobTerminalException: It failed, and dlt is not to try again: the transaction can only be taken back.
        """
        try:
            self._insert(self._job_client.sql_client, RAW_TABLES.get(self.load_table_name))
        except Exception as error:
            raise LoadJobTerminalException(self._file_path, str(error)) from error

    def _insert(self, client: Psycopg2SqlClient, raw: RawTable | None) -> None:
        table = client.make_qualified_table_name(self.load_table_name)
        if raw is None or raw.name in EVENT_COLUMNS:
            self._copy_to(table)
            return
        client.execute_sql(f"create temporary table {_ARRIVING} (like {table})")
        self._copy_to(_ARRIVING)
        if raw.replaced_when is not None:
            same = " and ".join(f"held.{column} = arriving.{column}" for column in raw.key)
            client.execute_sql(
                f"delete from {table} as held using {_ARRIVING} as arriving where {same} and ({raw.replaced_when})"
            )
        # A temporary table made like another has its columns in the same order.
        client.execute_sql(f"insert into {table} select * from {_ARRIVING} on conflict do nothing")
        client.execute_sql(f"drop table {_ARRIVING}")


class CopyingClient(PostgresClient):
    """dlt's client, but for how a Parquet file gets there."""

    job: ClassVar[type[ParquetCopyJob]] = ParquetCopyJob

    # The flag is in dlt's signature.
    def create_load_job(
        self,
        table: PreparedTableSchema,
        file_path: str,
        load_id: str,
        restore: bool = False,  # noqa: FBT001, FBT002
    ) -> LoadJob:
        """Return the job that loads the file."""
        if file_path.endswith(".parquet"):
            return self.job(file_path)
        return super().create_load_job(table, file_path, load_id, restore)


class CopyingPostgres(postgres):
    """dlt's destination, but for how a Parquet file gets there; its merges are atomic."""

    def _raw_capabilities(self) -> DestinationCapabilitiesContext:
        capabilities = super()._raw_capabilities()
        capabilities.preferred_loader_file_format = "parquet"
        capabilities.supported_loader_file_formats = ["parquet"]
        # A merge is one transaction because we say so, not because of how its statements are sent.
        capabilities.supports_transactions = True
        # dlt's own asks whether the driver is there that we do without; none is what it starts from.
        capabilities.loader_file_format_selector = None  # type: ignore[assignment]
        return capabilities

    @property
    def client_class(self) -> type[PostgresClient]:
        """The client above."""
        return CopyingClient


class HeldSqlClient(Psycopg2SqlClient):
    """Speaks on the session's own connection, and begins no transaction: there is one."""

    held: Any

    def open_connection(self) -> Any:
        """Return the session's connection."""
        self._conn = self.held
        return self._conn

    def close_connection(self) -> None:
        """Leave it open."""
        self._conn = None

    @contextmanager
    def begin_transaction(self) -> Iterator[Any]:
        """Stay in the one that is open."""
        yield self

    @contextmanager
    @raise_database_error
    def execute_query(self, query: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """Run *query*; unlike dlt's own, an error does not roll back what the session holds."""
        with self._conn.cursor() as cursor:
            cursor.execute(query, args or kwargs or None)
            yield DBApiCursorImpl(cursor)


class HeldClient(CopyingClient):
    """dlt's client with the SQL client and the job above, and without staging tables."""

    job = InsertJob
    connection: ClassVar[Any]

    def __init__(
        self, schema: Schema, config: PostgresClientConfiguration, capabilities: DestinationCapabilitiesContext
    ) -> None:
        super().__init__(schema, config, capabilities)
        stock = self.sql_client
        self.sql_client = HeldSqlClient(
            stock.dataset_name, stock.staging_dataset_name, stock.credentials, stock.capabilities
        )
        self.sql_client.held = self.connection

    def should_load_data_to_staging_dataset(self, table_name: str) -> bool:  # noqa: ARG002 - dlt's signature
        """Return False."""
        return False

    def create_table_chain_completed_followup_jobs(self, *_args: Any, **_kwargs: Any) -> list[FollowupJobRequest]:
        """Return nothing: there is nothing left to merge."""
        return []


class HeldPostgres(CopyingPostgres):
    """Loads on the session's own connection."""

    def __init__(self, connection: Any, credentials: dict[str, Any]) -> None:
        super().__init__(credentials, create_indexes=False)
        # dlt asks for a class and makes its clients itself; only the class can carry the connection to them.
        self._client = type("SessionClient", (HeldClient,), {"connection": connection})

    @property
    def client_class(self) -> type[PostgresClient]:
        """The client above, with the connection."""
        return self._client
