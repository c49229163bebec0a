"""
The file of a DuckDB warehouse, opened with rows in groups of our size.

What is in its log takes memory to read, each time; a log of more than SMALL_LOG bytes is worth bringing into the file.
"""

from contextlib import closing, suppress
from pathlib import Path

import duckdb

from pipelines.sql_literals import sql_name, sql_text

SMALL_LOG = 1_000_000
"""
Bytes of changes that may be left in the log when the file is closed: each load of a hundred events takes some 0.05 s to
read again.
"""

ROW_GROUP = 30_720
"""
Rows that are compressed together, and written anew together when the last ones are not full yet.

A quarter of what DuckDB takes by itself: that is how much memory it takes to write the widest table, and how long.
"""


def log_of(database: Path) -> Path:
    """Return where DuckDB keeps the log of *database*."""
    return database.with_name(f"{database.name}.wal")


def log_bytes(database: Path) -> int:
    """Return how much of *database* is in its log alone."""
    log = log_of(database)
    return log.stat().st_size if log.exists() else 0


def open_within(database: Path, most_bytes: int) -> duckdb.DuckDBPyConnection:
    """Open *database* with so much memory; what somebody left in the log may take more to read."""
    if log_bytes(database) <= SMALL_LOG:
        with suppress(duckdb.OutOfMemoryException, duckdb.TransactionException):
            return open_file(database, most_bytes)
    # With all the memory that DuckDB takes by itself; another connection has none of it any more.
    with closing(open_file(database)) as connection, suppress(duckdb.Error):
        connection.execute("checkpoint")
    return open_file(database, most_bytes)


def open_file(database: Path, most_bytes: int | None = None) -> duckdb.DuckDBPyConnection:
    """
    Open *database* under the name that it has when it is the only one that is open.

    With *most_bytes* of memory, or as much as DuckDB takes by itself.

    Raises:
        duckdb.IOException: Another program has it open.
    """
    # Only one that is attached can have row groups of another size.
    connection = duckdb.connect(config={} if most_bytes is None else {"memory_limit": f"{most_bytes}B"})
    temporary = sql_text(database.with_name(f"{database.name}.tmp"))
    try:
        if database.stem == "memory":  # as the one is called that is open
            connection.execute("attach ':memory:' as nothing; use nothing; detach memory")
        connection.execute(
            f"set temp_directory = {temporary}; attach {sql_text(database)} (row_group_size {ROW_GROUP})"
        )
        [(name,)] = connection.execute("select database_name from duckdb_databases() where path is not null").fetchall()
        connection.execute(f"use {sql_name(name)}")
    except BaseException:
        connection.close()
        raise
    return connection
