"""The marts as the commands read them, wherever they are published."""

# ruff: noqa: PLC0415  # dlt takes seconds to import, and a published copy is read without it

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from ingest.settings import Settings


@contextmanager
def answer_of(settings: Settings, sql: str) -> Iterator[tuple[duckdb.DuckDBPyConnection, str]]:
    """
    Give a DuckDB connection, and the SQL that has the rows of *sql* there.

    Where readers read the warehouse itself, *sql* is in its words, and the rows pass through memory.

    Raises:
        NotPublishedError: No build has published yet.
        QueryError: *sql* is wrong, or asks for more than reading.
    """
    if settings.warehouse.publishes_a_copy:
        from pipelines.publish import open_published

        with open_published(settings.warehouse.publish) as connection:
            yield connection, sql
        return
    from hookmart.wiring import warehouse_of

    with warehouse_of(settings).reading(settings.warehouse.publish) as marts, duckdb.connect() as connection:
        connection.register("answer", marts(sql, {}))
        yield connection, "select * from answer"
