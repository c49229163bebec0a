"""How `hookmart query` writes rows: a table for people, CSV, JSON or Parquet for programs."""

import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
from rich.table import Table

from hookmart.terminal import OperationError, out
from pipelines.sql_literals import sql_text

_SHOWN_ROWS = 1000
_COPY_OPTIONS = {"csv": "format csv, header", "json": "format json, array true", "parquet": "format parquet"}


def write_answer(connection: duckdb.DuckDBPyConnection, sql: str, output_format: str, output: Path | None) -> None:
    """
    Run *sql* and write its rows in *output_format* to *output*, or to standard output.

    Raises:
        OperationError: The SQL is wrong, or asks for more than reading.
    """
    try:
        if output_format == "table":
            _print_table(connection.sql(sql))
        else:
            _copy(connection, sql.strip().rstrip(";"), output_format, output)
    except duckdb.Error as error:
        raise OperationError(str(error)) from error


def _copy(connection: duckdb.DuckDBPyConnection, selection: str, output_format: str, output: Path | None) -> None:
    with TemporaryDirectory() as directory:
        # DuckDB writes to paths only, and standard output is one that it would write from its beginning.
        path = output or Path(directory) / "answer"
        connection.execute(f"copy ({selection}) to {sql_text(path)} ({_COPY_OPTIONS[output_format]})")
        if output is None:
            with path.open("rb") as answer:
                shutil.copyfileobj(answer, sys.stdout.buffer)


def _print_table(rows: duckdb.DuckDBPyRelation | None) -> None:
    if rows is None:
        return
    table = Table(show_header=True, header_style="bold")
    for name, kind in zip(rows.columns, rows.types, strict=True):
        is_number = str(kind).startswith(("DECIMAL", "BIGINT", "INTEGER", "HUGEINT", "DOUBLE"))
        table.add_column(name, justify="right" if is_number else "left")
    shown = rows.limit(_SHOWN_ROWS + 1).fetchall()
    for row in shown[:_SHOWN_ROWS]:
        table.add_row(*("" if value is None else str(value) for value in row))
    out.print(table)
    if len(shown) > _SHOWN_ROWS:
        out.print(f"the first {_SHOWN_ROWS:,} rows; --format csv gives all")
