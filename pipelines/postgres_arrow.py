"""
Arrow tables into and out of PostgreSQL through its COPY: no row becomes a Python object.

A null and an empty text stay apart: COPY writes the first without quotes.
"""

import io
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

_TEXT = pa.string()
_TYPES: dict[int, pa.DataType] = {
    16: pa.bool_(),
    20: pa.int64(),
    21: pa.int64(),
    23: pa.int64(),
    700: pa.float64(),
    701: pa.float64(),
    1082: pa.date32(),
    1114: pa.timestamp("us"),
    1184: pa.timestamp("us", tz="UTC"),
}
"""By PostgreSQL's number of the type; everything else is read as text."""

_NUMERIC = 1700
_LARGEST_PRECISION = 38

_SQL_TYPES: tuple[tuple[Any, str], ...] = (
    (pa.types.is_string, "text"),
    (pa.types.is_integer, "bigint"),
    (pa.types.is_timestamp, "timestamp"),
)

_LEAST_BLOCK = 1024 * 1024


def fetch(connection: Any, sql: str) -> pa.Table:
    """
    Return the rows of the query *sql*; whole in memory.

    Numbers whose places the server does not say, such as sums, have as many as their rows need.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"select * from ({sql}) as asked limit 0")
        columns = list(cursor.description)
        rows = io.BytesIO()
        cursor.copy_expert(f"copy ({sql}) to stdout (format csv)", rows)
    types = {f"f{at}": _type(column) for at, column in enumerate(columns)}
    data = rows.getvalue()
    table = (
        csv.read_csv(
            pa.py_buffer(data),
            csv.ReadOptions(column_names=list(types), block_size=max(_LEAST_BLOCK, len(data) + 1)),
            csv.ParseOptions(newlines_in_values=True),
            csv.ConvertOptions(
                column_types=types,
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                true_values=["t"],
                false_values=["f"],
            ),
        )
        if data
        else pa.schema(list(types.items())).empty_table()
    )
    found = [
        _as_number(values) if column.type_code == _NUMERIC and values.type == _TEXT else values
        for column, values in zip(columns, table.columns, strict=True)
    ]
    return pa.table(found, names=[column.name for column in columns])


def put(connection: Any, name: str, rows: pa.Table) -> None:
    """Make the temporary table *name* with *rows*, of texts, whole numbers and instants, none of them null."""
    shape = ", ".join(f"{field.name} {_sql_type(field.type)}" for field in rows.schema)
    with connection.cursor() as cursor:
        cursor.execute(f"create temporary table {name} ({shape})")
    copy_in(connection, name, rows)
    with connection.cursor() as cursor:
        # Without figures the planner may read a table of millions to look up a few.
        cursor.execute(f"analyze {name}")


def copy_in(connection: Any, table: str, rows: pa.Table | pa.RecordBatch) -> None:
    """Add *rows*, by the names of their columns, to *table*, which is written as SQL wants it."""
    content = io.BytesIO()
    csv.write_csv(rows, content, csv.WriteOptions(include_header=False))
    content.seek(0)
    columns = ", ".join(f'"{name}"' for name in rows.schema.names)
    with connection.cursor() as cursor:
        cursor.copy_expert(f"copy {table} ({columns}) from stdin (format csv, encoding 'utf8')", content)


def _type(column: Any) -> pa.DataType:
    if column.type_code == _NUMERIC and column.precision is not None and column.precision <= _LARGEST_PRECISION:
        return pa.decimal128(column.precision, column.scale)
    return _TYPES.get(column.type_code, _TEXT)


def _as_number(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    places = pc.max(pc.utf8_length(pc.replace_substring_regex(texts, r"^[^.]*\.?", ""))).as_py() or 0
    try:
        return texts.cast(pa.decimal128(_LARGEST_PRECISION, places))
    except pa.ArrowInvalid:  # NaN, or more digits than a decimal has
        return texts


def _sql_type(kind: pa.DataType) -> str:
    return next(name for is_kind, name in _SQL_TYPES if is_kind(kind))
