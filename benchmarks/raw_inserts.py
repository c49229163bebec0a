"""What DuckDB alone needs for the same files: the least that any loader into it can cost."""

from pathlib import Path

import duckdb

from ingest.staging import CLOSED, SEGMENT_COLUMNS
from models.columns import EVENT_COLUMNS
from models.event_types import EVENT_TYPES
from pipelines.extraction import structure, typed

_ENVELOPE = (
    "source_id, event_id, event_type, schema_version, cast(occurred_at as timestamp) as occurred_at, has_synthetic_id, "
    "payload, cast(received_at as timestamp) as received_at, body_sha256, delivery_id, batch_id"
)
_DELIVERY = (
    "delivery_id, source_id, cast(received_at as timestamp) as received_at, status_code, outcome, reason, detail, "
    "response_ms, body_bytes, event_id, secret_name, batch_id"
)


def insert_lines(segments: Path, database: Path) -> int:
    """Insert every line into one new table of the same columns, nothing looked at; return how many."""
    columns = ", ".join(f"{name} {kind}" for name, kind in SEGMENT_COLUMNS.items())
    with duckdb.connect(database) as connection:
        connection.execute(f"create table lines ({columns})")
        connection.execute(f"insert into lines select * from {_segment_lines(segments)}")
        return _count(connection, "lines")


def insert_typed(segments: Path, database: Path) -> int:
    """
    Insert every event into new tables with the columns of those of `raw`, and its delivery; return how many events.

    The lines are read once. No key is compared, no misfit looked for, nothing counted; each table commits by itself.
    """
    with duckdb.connect(database) as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(
            "create temp table lines as select * exclude (filename), parse_filename(filename, true) as batch_id "
            f"from {_segment_lines(segments, 'filename = true')}"
        )
        connection.execute(f"create table deliveries as select {_DELIVERY} from lines where is_delivery")
        for table, columns in EVENT_COLUMNS.items():
            types = ", ".join(f"'{name}'" for name, each in EVENT_TYPES.items() if each.table == table)
            values = ", ".join(f'{typed(column, "event")} as "{column.name}"' for column in columns)
            events = (
                f"select {_ENVELOPE}, {values} from "
                f"(select *, json_transform(payload, '{structure(columns)}') as event from lines "
                f"where outcome = 'accepted' and event_type in ({types}))"
            )
            connection.execute(f"create table {table} as {events} limit 0")
            connection.execute(f"insert into {table} {events}")
        return sum(_count(connection, table) for table in EVENT_COLUMNS)


def _segment_lines(segments: Path, *options: str) -> str:
    columns = ", ".join(f"{name}: '{kind}'" for name, kind in SEGMENT_COLUMNS.items())
    further = "".join(f", {option}" for option in options)
    return f"read_json('{segments}/*{CLOSED}', format = 'newline_delimited', columns = {{{columns}}}{further})"


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    row = connection.execute(f"select count(*) from {table}").fetchone()
    return int(row[0]) if row else 0
