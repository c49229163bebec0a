"""The rows of a load for one table, given out in pieces, so that they are never all in memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from pipelines.process_memory import give_back

_PIECE_ROWS = 4_096
"""Some five megabytes of events."""


@dataclass(frozen=True, slots=True)
class BatchRows:
    """
    Rows for a table of `raw`.

    Attributes:
        schema: Of every piece.
        num_rows: Of all pieces.
        pieces: Begins anew at each call; without rows there is none.
    """

    schema: pa.Schema
    num_rows: int
    pieces: Callable[[], Iterator[pa.Table]]

    @property
    def table(self) -> pa.Table:
        """All rows at once, for a few."""
        # No empty piece before the others: pyarrow's writer of CSV makes NULs of it.
        pieces = list(self.pieces())
        return pa.concat_tables(pieces) if pieces else self.schema.empty_table()

    def altered(self, alter: Callable[[pa.Table], pa.Table]) -> "BatchRows":
        """Return the same with *alter* done to each piece; it keeps the schema and the number of rows."""
        return BatchRows(self.schema, self.num_rows, lambda: map(alter, self.pieces()))


def rows_of_arrow(rows: pa.Table) -> BatchRows:
    """Return *rows* in one piece, which may be empty."""
    return BatchRows(rows.schema, rows.num_rows, lambda: iter([rows]))


def rows_of_table(
    reader: duckdb.DuckDBPyConnection, table: str, schema: pa.Schema | None = None, condition: str = "true"
) -> BatchRows:
    """
    Return the rows of a *table* of *reader* for which *condition* holds, read as they are asked for.

    Args:
        reader: Stays open as long; whatever else it runs meanwhile.
        table: Has at least the columns of *schema*, and is not changed meanwhile.
        schema: What the rows are cast to; None for the columns as they are.
        condition: SQL.
    """
    if schema is None:
        schema = reader.sql(f"from {table} limit 0").to_arrow_table().schema
    columns = ", ".join(f'"{name}"' for name in schema.names)

    def pieces() -> Iterator[pa.Table]:
        row = reader.execute(f"select max(rowid) from {table}").fetchone()
        last = -1 if row is None or row[0] is None else row[0]
        for first in range(0, last + 1, _PIECE_ROWS):
            piece = reader.sql(
                f"select {columns} from {table} "
                f"where rowid >= {first} and rowid < {first + _PIECE_ROWS} and {condition}"
            ).to_arrow_table()
            if piece.num_rows:
                yield piece.cast(schema)
        if last >= _PIECE_ROWS:
            give_back()

    row = reader.execute(f"select count(*) from {table} where {condition}").fetchone()
    return BatchRows(schema, row[0] if row else 0, pieces)
