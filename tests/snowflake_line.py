"""The line from staged events to marts with its warehouse in Snowflake, as far as an emulator plays it."""

from pathlib import Path
from typing import Any

from pipelines.cloud_engines import snowflake_at
from pipelines.cloud_warehouse import CloudSession, CloudWarehouse
from tests.fake_snowflake import DATABASE
from tests.line import BareLine, Line

URL = f"snowflake://hookmart:secret@account/{DATABASE}?warehouse=small"


class CloudLine(BareLine):
    """
    A stage of its own, and the database that the emulator has.

    Attributes:
        twin: One on DuckDB that gets the same, where a test made one.
    """

    warehouse: CloudWarehouse
    twin: Line

    def __init__(self, root: Path, timezone: str = "UTC") -> None:
        super().__init__(root, CloudWarehouse(snowflake_at(URL, None), root / "state", patience=1), timezone)

    def query_warehouse(self, sql: str) -> list[dict[str, Any]]:
        """Rows of the warehouse."""
        with self.warehouse._connected("raw") as client:
            rows: list[dict[str, Any]] = CloudSession(client, self.warehouse).arrow(sql).to_pylist()
        return rows

    def marts(self) -> dict[str, list[dict[str, Any]]]:
        """All rows of all marts."""
        with self.warehouse._connected("raw") as client:
            names = sorted(CloudSession(client, self.warehouse).table_names("marts"))
        return {name: self.query_warehouse(f"select * from marts.{name}") for name in names}
