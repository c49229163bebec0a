"""dlt's DuckDB destination, but for the catalog: its tables are in an attached one, not in the database itself."""

import dlt
from dlt.common.destination import DestinationCapabilitiesContext
from dlt.common.schema import Schema
from dlt.destinations.impl.duckdb.configuration import DuckDbClientConfiguration
from dlt.destinations.impl.duckdb.duck import DuckDbClient
from dlt.destinations.impl.duckdb.sql_client import DuckDbSqlClient


class AttachedSqlClient(DuckDbSqlClient):
    """Names the catalog in every statement, because a connection that dlt clones forgets what was `use`d."""

    # The flags are in dlt's signature.
    def catalog_name(self, quote: bool = True, casefold: bool = True) -> str:  # noqa: ARG002, FBT001, FBT002
        """Return what the connection uses that dlt was given."""
        connection = self.credentials.external_conn()
        row = None if connection is None else connection.execute("select current_database()").fetchone()
        if row is None:
            raise RuntimeError("The destination is for a connection of ours.")
        name = str(row[0])
        return str(self.capabilities.escape_identifier(name)) if quote else name


class AttachedClient(DuckDbClient):
    """dlt's client with the SQL client above."""

    def __init__(
        self, schema: Schema, config: DuckDbClientConfiguration, capabilities: DestinationCapabilitiesContext
    ) -> None:
        super().__init__(schema, config, capabilities)
        client = self.sql_client
        self.sql_client = AttachedSqlClient(
            client.dataset_name, client.staging_dataset_name, client.credentials, client.capabilities
        )


class AttachedDestination(dlt.destinations.duckdb):
    """
    Loads into what a connection of DuckDB's has attached, and uses.

    dlt's own destination `ducklake` attaches the lake anew for each of its steps, which takes a third of a second.
    """

    @property
    def client_class(self) -> type[AttachedClient]:
        """The client that names the catalog."""
        return AttachedClient


AttachedDestination.register()
