"""Accepted lines to the rows of their raw table: the frame that every event has, and the typed columns."""

from dataclasses import dataclass

import duckdb
import pyarrow as pa

from models.columns import EVENT_COLUMNS, Column, Kind
from models.event_types import EVENT_TYPES
from pipelines.batch_rows import BatchRows, rows_of_table
from pipelines.extraction import ARROW_TYPES, structure, text_of, typed, unreadable

_FRAME: dict[str, pa.DataType] = {
    **dict.fromkeys(
        ("source_id", "event_id", "event_type", "schema_version", "payload", "body_sha256", "delivery_id", "batch_id"),
        ARROW_TYPES[Kind.TEXT],
    ),
    "occurred_at": ARROW_TYPES[Kind.TIMESTAMP],
    "received_at": ARROW_TYPES[Kind.TIMESTAMP],
    "lifecycle_rank": ARROW_TYPES[Kind.INTEGER],
    "load_seq": ARROW_TYPES[Kind.INTEGER],
    "has_synthetic_id": ARROW_TYPES[Kind.BOOLEAN],
}


@dataclass(frozen=True, slots=True)
class ParsedEvents:
    """
    The accepted lines of one raw table, taken apart.

    Attributes:
        reader: Has them in a table of its own.
        table: The raw table.
        misfits: `line_number` and `detail` of those whose JSON does not fit the columns; they are not among the rows.
    """

    reader: duckdb.DuckDBPyConnection
    table: str
    misfits: pa.Table

    def rows_where(self, condition: str) -> BatchRows:
        """Return the rows for which SQL about their `line_number` is true, as the raw table has them."""
        return rows_of_table(self.reader, _parsed_name(self.table), _schema_of(self.table), condition)


def parsed_events(reader: duckdb.DuckDBPyConnection, table: str) -> ParsedEvents:
    """
    Take apart the accepted lines whose event belongs in one raw table.

    The contract was checked on the way in by another reader of JSON; where the two differ (a repeated key), the event
    is a misfit instead of arriving with a value nobody checked.
    """
    columns = EVENT_COLUMNS[table]
    parsed = _parsed_name(table)
    ranks = {name: each.lifecycle_rank for name, each in EVENT_TYPES.items() if each.table == table}
    rank_of = " ".join(f"when '{name}' then {rank}" for name, rank in ranks.items())
    types = ", ".join(f"'{name}'" for name in ranks)
    checked = [column for column in columns if unreadable(column, "event")]
    texts = (f"cast({text_of(column, 'event')} is not null as integer)" for column in checked)
    reader.execute(f"""
        create or replace temp table {parsed} as
        select
            line_number,
            {" + ".join(["cast(event is null as integer)", *texts])} as texts,
            source_id,
            event_id,
            event_type,
            schema_version,
            occurred_at,
            cast(case event_type {rank_of} end as bigint) as lifecycle_rank,
            has_synthetic_id,
            {", ".join(f'{typed(column, "event")} as "{column.name}"' for column in columns)},
            payload,
            received_at,
            body_sha256,
            delivery_id,
            batch_id,
            load_seq
        from ({_taken_apart(columns)})
        where outcome = 'accepted' and event_type in ({types})
    """)
    # Counted now that the values are there, because in the query above it takes as long as everything else in it.
    values = " + ".join(f'cast("{column.name}" is not null as integer)' for column in checked)
    unfit = reader.sql(f"select line_number from {parsed} where texts != {values or '0'}").to_arrow_table()
    misfits = NO_MISFITS
    if unfit.num_rows:
        misfits = _explained(reader, columns, unfit)
        reader.execute(f"delete from {parsed} where texts != {values or '0'}")
    return ParsedEvents(reader, table, misfits)


def _parsed_name(table: str) -> str:
    return f"parsed_{table}"


def _taken_apart(columns: tuple[Column, ...]) -> str:
    return f"select *, try(json_transform(payload, '{structure(columns)}')) as event from lines"


def _explained(reader: duckdb.DuckDBPyConnection, columns: tuple[Column, ...], unfit: pa.Table) -> pa.Table:
    """Return the lines of *unfit*, each with the paths that do not fit."""
    reader.register("unfit", unfit)
    checks = ((column.path, unreadable(column, "event")) for column in columns if unreadable(column, "event"))
    paths = ", ".join(f"case when {check} then '{path}' end" for path, check in checks)
    explained = reader.sql(f"""
        select line_number, concat_ws(', ', case when event is null then 'payload' end, {paths}) as detail
        from ({_taken_apart(columns)})
        where line_number in (select line_number from unfit)
    """).to_arrow_table()
    reader.unregister("unfit")
    return explained.cast(NO_MISFITS.schema)


def _schema_of(table: str) -> pa.Schema:
    return pa.schema(
        [
            *(pa.field(name, _FRAME[name]) for name in _LEADING),
            *(pa.field(column.name, ARROW_TYPES[column.kind]) for column in EVENT_COLUMNS[table]),
            *(pa.field(name, _FRAME[name]) for name in _TRAILING),
        ]
    )


NO_MISFITS = pa.schema([("line_number", pa.int64()), ("detail", pa.string())]).empty_table()
_LEADING = (
    "source_id", "event_id", "event_type", "schema_version", "occurred_at", "lifecycle_rank", "has_synthetic_id",
)  # fmt: skip
_TRAILING = ("payload", "received_at", "body_sha256", "delivery_id", "batch_id", "load_seq")
