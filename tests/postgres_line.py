"""The line from staged events to marts with its warehouse on a real PostgreSQL server."""

from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extras import RealDictCursor

from pipelines.postgres_warehouse import PostgresWarehouse
from tests.line import BareLine, Line
from tests.postgres_server import PostgresServer


class PostgresLine(BareLine):
    """
    A stage of its own, and a database of *server* that may be shared.

    What `Line` asks of files it asks of the server: readers see schema `marts`.

    Attributes:
        twin: One on DuckDB that gets the same, where a test made one.
    """

    twin: Line

    def __init__(self, root: Path, server: PostgresServer, database: str, timezone: str = "UTC") -> None:
        self.server, self.database, self.url = server, database, server.url(database)
        super().__init__(root, PostgresWarehouse(self.url, root / "state", patience=5), timezone)

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Rows as a reader gets them, who finds the marts without saying their schema."""
        with psycopg2.connect(self.url, options="-c search_path=marts") as connection:
            cursor = connection.cursor(cursor_factory=RealDictCursor)
            cursor.execute(sql)
            rows = [dict(row) for row in cursor.fetchall()]
        connection.close()
        return rows

    def query_warehouse(self, sql: str) -> list[dict[str, Any]]:
        """The same: the warehouse is what readers read."""
        return self.query(sql)

    def execute(self, sql: str) -> None:
        """Run *sql* as the administrator."""
        self.server.execute(sql, self.database)

    def marts(self) -> dict[str, list[dict[str, Any]]]:
        """All rows of all marts, in no order."""
        tables = self.query("select tablename from pg_tables where schemaname = 'marts' order by 1")
        return {row["tablename"]: self.query(f"select * from marts.{row['tablename']}") for row in tables}

    def sorted_marts(self) -> dict[str, list[list[tuple[str, object]]]]:
        """The same in an order that no engine decides."""
        return sorted_marts(self.marts())


def sorted_marts(marts: dict[str, list[dict[str, Any]]]) -> dict[str, list[list[tuple[str, object]]]]:
    """*marts* in an order that no engine decides."""
    return {name: sorted((sorted(row.items()) for row in rows), key=repr) for name, rows in marts.items()}
