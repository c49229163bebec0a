"""The line from staged events to marts with its warehouse in a DuckLake, its catalog on a real PostgreSQL server."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.ducklake_warehouse import DuckLakeWarehouse
from tests.line import Line, PublishingLine
from tests.postgres_server import PostgresServer

if TYPE_CHECKING:
    import duckdb


class LakeLine(PublishingLine):
    """
    A stage, a lake's files and published marts of its own, and a catalog on *server*.

    Attributes:
        twin: One on a DuckDB file that gets the same, where a test made one.
    """

    warehouse: DuckLakeWarehouse
    twin: Line

    def __init__(self, root: Path, server: PostgresServer, url: str, timezone: str = "UTC") -> None:
        self.server, self.url = server, url
        super().__init__(root, DuckLakeWarehouse(url, root / "lake", root / "state", patience=5), timezone)
        self._lake: duckdb.DuckDBPyConnection | None = None

    def query_warehouse(self, sql: str) -> list[dict[str, Any]]:
        """Rows from the lake itself."""
        if self._lake is None:
            self._lake = self.warehouse._attach()
        rows: list[dict[str, Any]] = self._lake.sql(sql).to_arrow_table().to_pylist()
        return rows
