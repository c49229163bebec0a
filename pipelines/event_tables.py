"""Accepted lines to the Arrow table of their raw table: the frame that every event has, and the typed columns."""

from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from models.columns import EVENT_COLUMNS, Column, Kind
from models.event_types import EVENT_TYPES
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
        rows: The table's columns, and `line_number`.
        misfits: `line_number` and `detail` of those whose JSON does not fit the columns; they are not in `rows`.
    """

    rows: pa.Table
    misfits: pa.Table

    def of_lines(self, line_numbers: pa.Array) -> pa.Table:
        """Return the rows of these lines, as the raw table has them."""
        chosen = pc.is_in(self.rows["line_number"], line_numbers)
        rows = self.rows if pc.all(chosen).as_py() else self.rows.filter(chosen)
        return rows.drop_columns(["line_number"])


def parsed_events(reader: duckdb.DuckDBPyConnection, table: str) -> ParsedEvents:
    """
    Take apart the accepted lines whose event belongs in one raw table.

    The contract was checked on the way in by another reader of JSON; where the two differ (a repeated key), the event
    is a misfit instead of arriving with a value nobody checked.
    """
    columns = EVENT_COLUMNS[table]
    ranks = {name: each.lifecycle_rank for name, each in EVENT_TYPES.items() if each.table == table}
    rank_of = " ".join(f"when '{name}' then {rank}" for name, rank in ranks.items())
    types = ", ".join(f"'{name}'" for name in ranks)
    checked = [column for column in columns if unreadable(column, "event")]
    texts = (f"cast({text_of(column, 'event')} is not null as integer)" for column in checked)
    arrow = reader.sql(f"""
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
    """).to_arrow_table()
    # Counted here, because the same comparison in SQL takes as long as everything else in it.
    missing = arrow["texts"]
    for column in checked:
        missing = pc.subtract(missing, pc.cast(arrow[column.name].is_valid(), pa.int32()))
    fits = pc.equal(missing, 0)
    misfits = _NO_MISFITS
    if not pc.all(fits).as_py():
        misfits = _explained(reader, columns, arrow.filter(pc.invert(fits)).select(["line_number"]))
        arrow = arrow.filter(fits)
    return ParsedEvents(arrow.drop_columns(["texts"]).cast(_schema_of(table)), misfits)


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
    return explained.cast(_NO_MISFITS.schema)


def _schema_of(table: str) -> pa.Schema:
    return pa.schema(
        [
            pa.field("line_number", pa.int64()),
            *(pa.field(name, _FRAME[name]) for name in _LEADING),
            *(pa.field(column.name, ARROW_TYPES[column.kind]) for column in EVENT_COLUMNS[table]),
            *(pa.field(name, _FRAME[name]) for name in _TRAILING),
        ]
    )


_NO_MISFITS = pa.schema([("line_number", pa.int64()), ("detail", pa.string())]).empty_table()
_LEADING = (
    "source_id", "event_id", "event_type", "schema_version", "occurred_at", "lifecycle_rank", "has_synthetic_id",
)  # fmt: skip
_TRAILING = ("payload", "received_at", "body_sha256", "delivery_id", "batch_id", "load_seq")
