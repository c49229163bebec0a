"""A line with an empty warehouse of its own, of either engine that needs a PostgreSQL server."""

from pathlib import Path

from tests.ducklake_line import LakeLine
from tests.line import BareLine
from tests.postgres_line import PostgresLine
from tests.postgres_server import PostgresServer


def new_line(engine: str, root: Path, server: PostgresServer) -> BareLine:
    """A line into a new warehouse of *engine*, `postgres` or `ducklake`."""
    database = server.make_database()
    if engine == "postgres":
        return PostgresLine(root, server, database)
    return LakeLine(root, server, server.url(database))
