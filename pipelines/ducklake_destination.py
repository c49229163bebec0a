"""dlt's DuckDB destination, but for the catalog: its tables are in an attached lake, not in the database itself."""

import dlt
from dlt.common.destination import DestinationCapabilitiesContext
from dlt.common.schema import Schema
from dlt.destinations.impl.duckdb.configuration import DuckDbClientConfiguration
from dlt.destinations.impl.duckdb.duck import DuckDbClient
from dlt.destinations.impl.duckdb.sql_client import DuckDbSqlClient

CATALOG = "lake"
"""The lake's name on every connection of ours."""


class LakeSqlClient(DuckDbSqlClient):
    """Names the lake in every statement, because a connection that dlt clones forgets what was `use`d."""

    # The flags are in dlt's signature.
    def catalog_name(self, quote: bool = True, casefold: bool = True) -> str:  # noqa: ARG002, FBT001, FBT002
        """Return the lake's name."""
        return CATALOG


class LakeClient(DuckDbClient):
    """dlt's client with the SQL client above."""

    def __init__(
        self, schema: Schema, config: DuckDbClientConfiguration, capabilities: DestinationCapabilitiesContext
    ) -> None:
        super().__init__(schema, config, capabilities)
        client = self.sql_client
        self.sql_client = LakeSqlClient(
            client.dataset_name, client.staging_dataset_name, client.credentials, client.capabilities
        )


class LakeDestination(dlt.destinations.duckdb):
    """
    Loads into the lake that a connection of DuckDB's has attached as CATALOG.

    dlt's own destination `ducklake` attaches the lake anew for each of its steps, which takes a third of a second.
    """

    @property
    def client_class(self) -> type[LakeClient]:
        """The client that names the lake."""
        return LakeClient


LakeDestination.register()
