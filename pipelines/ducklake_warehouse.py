"""
A warehouse in a DuckLake: Parquet files in a directory, and their catalog in a PostgreSQL database.

Readers have the published copy, as with a DuckDB file; any DuckDB can attach the lake itself besides, while it is being
written.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import duckdb
from psycopg2.extensions import make_dsn, parse_dsn

from pipelines.duckdb_extensions import extension_directory
from pipelines.duckdb_warehouse import DuckDBSession, reader_of
from pipelines.ducklake_known_events import EventsInLake
from pipelines.errors import WarehouseAwayError
from pipelines.postgres_warehouse import PostgresWarehouse
from pipelines.publish import open_published, publish
from pipelines.sql_literals import sql_text
from pipelines.warehouse import LOCK_PATIENCE, MartReader, Warehouse, not_of

CATALOG = "lake"
"""The lake's name on every connection of ours."""

METADATA_SCHEMA = "hookmart"
"""Where in the catalog's database the lake's own tables are."""

_ACCESS = "hookmart_catalog"
_TIDIED_NAME = "lake-tidied"

_SNAPSHOTS_AT_A_TIME = 1000
"""Between one tidying and the next; a build makes about fifty, a load one."""

_KEPT = "1 day"
"""How long an older snapshot of the lake can be asked for, and how long its files stay."""

_EXTENSIONS = ("ducklake", "postgres_scanner")


@dataclass(frozen=True, slots=True)
class DuckLakeWarehouse(Warehouse):
    """
    A lake that one loader or build at a time writes to.

    Attributes:
        url: Of the PostgreSQL database that holds the catalog: `postgresql://user:password@host:port/database`.
        storage: The directory of the Parquet files; made where it is missing.
        state: Where DuckDB finds its extensions; keeps how far the lake was tidied.
        patience: Seconds to wait while the server does not answer, or another loader or build works there.
        notice: Told once, when a wait begins.
    """

    url: str = field(repr=False)
    storage: Path
    state: Path
    patience: float = LOCK_PATIENCE
    notice: Callable[[str], None] = lambda _message: None
    _extensions: Path = field(init=False, repr=False)
    _catalog: PostgresWarehouse = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """
        Look at the URL, and for the extensions.

        Raises:
            ModuleNotFoundError: An extension's package is not installed.
            ValueError: The URL is none, or an extension is not for this DuckDB.
        """
        object.__setattr__(self, "_catalog", PostgresWarehouse(self.url, self.state, self.patience, self.notice))
        object.__setattr__(self, "_extensions", extension_directory(_EXTENSIONS, self.state))

    @property
    def dbt_target(self) -> str:
        """The output `ducklake`."""
        return "ducklake"

    def dbt_environment(self) -> Mapping[str, str]:
        """Return where catalog and files are, and how to get in."""
        return {
            "HOOKMART_LAKE_CATALOG": self._catalog_path(),
            "HOOKMART_LAKE_STORAGE": str(self.storage.resolve()),
            "HOOKMART_DUCKDB_EXTENSIONS": str(self._extensions),
            # dbt takes the value of a variable named so out of all it says.
            "DBT_ENV_SECRET_HOOKMART_LAKE": self._password(),
        }

    def exists(self) -> bool:
        """Return True: only the server knows."""
        return True

    @contextmanager
    def session(self, memory: int | None = None) -> Iterator["DuckLakeSession"]:  # noqa: ARG002 - a server has its own
        """
        Hold the lake for writing; loaders and builds of other machines wait.

        Raises:
            WarehouseAwayError: The catalog's server does not answer or let us in, or the lake cannot be attached.
            WarehouseLockedError: Another loader or build worked there for longer than `patience`.
        """
        self.storage.mkdir(parents=True, exist_ok=True)
        # The lock, and what is said about a server that is away, are those of the catalog's database.
        with self._catalog.session() as catalog:
            session = DuckLakeSession(
                self._attach,
                self.state,
                lambda: catalog.execute("select 1"),
                lambda: catalog.compact((METADATA_SCHEMA,)),
            )
            try:
                session.upgrade()
                yield session
            # Whatever it was: if the server went away, that is the reason, and asking it says so.
            except Exception:
                session.assert_held()
                raise
            finally:
                session.connection.close()

    @contextmanager
    def reading(self, published: Path) -> Iterator[MartReader]:
        """Give a reader of the published copy."""
        with open_published(published) as connection:
            yield reader_of(connection)

    def close_dbt(self) -> None:
        """Close the connection that dbt keeps from node to node."""
        # dbt takes seconds to import; no other command should pay for it.
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager  # noqa: PLC0415

        DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]

    def _attach(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(
            config={"extension_directory": str(self._extensions), "autoinstall_known_extensions": "false"}
        )
        try:
            connection.execute("set global TimeZone = 'UTC'")
            connection.execute("load postgres_scanner")
            # A secret, because what stands in the path stands in the message of every error.
            connection.execute(f"create secret {_ACCESS} (type postgres, password {sql_text(self._password())})")
            connection.execute(
                f"attach {sql_text(self._catalog_path())} as {CATALOG} "
                f"(data_path {sql_text(str(self.storage.resolve()))}, metadata_schema {sql_text(METADATA_SCHEMA)}, "
                f"meta_secret {sql_text(_ACCESS)})"
            )
            connection.execute(f"use {CATALOG}")
        except duckdb.Error as error:
            connection.close()
            reason = str(error).strip().partition("\n")[0].rstrip(".")
            message = (
                f"The lake of {self._catalog} in {self.storage} cannot be attached: {reason}. Correct `storage` and "
                "`credentials` in [warehouse]; what was received stays staged until then."
            )
            raise WarehouseAwayError(message) from error
        return connection

    def _catalog_path(self) -> str:
        given = {name: value for name, value in parse_dsn(self.url).items() if name != "password"}
        return f"ducklake:postgres:{make_dsn(**given)}"

    def _password(self) -> str:
        return str(parse_dsn(self.url).get("password", ""))


@dataclass(slots=True)
class DuckLakeSession(DuckDBSession):
    """
    The attached lake, on a connection of a DuckDB that holds nothing else.

    A load is one transaction, and one snapshot of the lake.

    Attributes:
        state: Keeps how far the lake was tidied.
        compact_catalog: Writes the catalog's tables anew.
        assert_held: Raises where the lock went with its connection; the lake itself connects anew without a word.
    """

    state: Path
    assert_held: Callable[[], object]
    compact_catalog: Callable[[], object]

    runs_compiled: ClassVar[bool] = False

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Hold a transaction, which commits only if nobody else can have been let in meanwhile."""
        with DuckDBSession._transaction(self):  # noqa: SLF001 - this class is one
            yield
            self.assert_held()

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Stay attached: a lake takes several connections."""
        yield
        self.assert_held()

    def known_apart_from(self, batch_ids: Sequence[str]) -> EventsInLake:
        """Return what `raw` holds, without what came with these batches."""
        return EventsInLake(self.connection, bool(self.missing_tables()), not_of(batch_ids))

    def reopen(self) -> None:
        """Do nothing: what the lake's tables consist of is in its catalog, and not in memory."""

    def forget_changes(self) -> None:
        """Do nothing: every publication copies all."""

    def publish(self, published: Path, load_seq: int) -> Path:
        """Copy the marts to a new generation, return its directory, and tidy the lake now and then."""
        # As on a DuckDB file, so that readers need neither the catalog nor the extensions.
        generation = publish(self.connection, published, load_seq)
        self._tidy()
        return generation

    def compact(self) -> None:
        """Write the lake's files anew without rows that were removed, and forget every older snapshot and its files."""
        self.execute(f"call ducklake_flush_inlined_data('{CATALOG}')")
        self.execute(f"call ducklake_rewrite_data_files('{CATALOG}', delete_threshold => 0)")
        self.execute(f"call ducklake_merge_adjacent_files('{CATALOG}')")
        self.execute(f"call ducklake_expire_snapshots('{CATALOG}', older_than => now())")
        self.execute(f"call ducklake_cleanup_old_files('{CATALOG}', cleanup_all => true)")
        self.execute(f"call ducklake_delete_orphaned_files('{CATALOG}', cleanup_all => true)")
        # The catalog quotes the least and the greatest value of every column of every file.
        self.compact_catalog()

    def _tidy(self) -> None:
        """Join the small files that loads and builds left, and remove those that nobody can ask for any more."""
        note = self.state / _TIDIED_NAME
        [(newest,)] = self.execute(f"select max(snapshot_id) from ducklake_snapshots('{CATALOG}')")
        if newest < _SNAPSHOTS_AT_A_TIME + (int(note.read_text(encoding="utf-8")) if note.exists() else 0):
            return
        for option in ("expire_older_than", "delete_older_than"):
            self.execute(f"call {CATALOG}.set_option('{option}', '{_KEPT}')")
        self.execute(f"checkpoint {CATALOG}")
        self.state.mkdir(parents=True, exist_ok=True)
        note.write_text(str(newest), encoding="utf-8")
