"""
Snowflake as fakesnow plays it: on DuckDB, in this process, for dlt and for dbt alike.

Its answers are DuckDB's, so it shows that the statements are understood and what they do to rows, and nothing about
Snowflake's locks, types or speed. PUT and COPY are left out: rows come from the file by DuckDB's own reader.
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from typing import Any
from unittest import mock

import fakesnow
import snowflake.connector
from dlt.destinations.impl.snowflake.snowflake import SnowflakeLoadJob
from fakesnow.cursor import FakeSnowflakeCursor
from snowflake.connector.errors import ProgrammingError
from sqlglot.dialects.dialect import Dialect
from sqlglot.tokenizer_core import TokenType

DATABASE = "hookmart"

_WORDS = {
    # DuckDB has its temporary tables in a database of their own, Snowflake in any; dbt drops them itself.
    r"(?i)\btemporary table\b": "table",
    # Snowflake's gives the value of the row with the maximum; what fakesnow makes of it passes over null values.
    r"(?i)\bmax_by\(": "arg_max_null(",
    # Snowflake's lists views as well; fakesnow's does not.
    r"(?i)\bfrom information_schema\.tables where\b": (
        "from (select table_name, table_schema from information_schema.tables "
        "union all select table_name, table_schema from information_schema.views) where"
    ),
}

_EXECUTE = FakeSnowflakeCursor.execute
_DESCRIPTION = FakeSnowflakeCursor.description.fget
_FETCHMANY = FakeSnowflakeCursor.fetchmany


@contextmanager
def emulated() -> Iterator[None]:
    """Take the place of Snowflake's connector."""
    with ExitStack() as stack:
        stack.enter_context(fakesnow.patch(create_schema_on_connect=False))
        stack.enter_context(mock.patch.object(FakeSnowflakeCursor, "execute", _execute_all))
        stack.enter_context(mock.patch.object(FakeSnowflakeCursor, "description", property(_description)))
        stack.enter_context(mock.patch.object(FakeSnowflakeCursor, "fetchmany", _fetch_many))
        stack.enter_context(mock.patch.object(SnowflakeLoadJob, "run", _read_file))
        # As every database of Snowflake's has; fakesnow wants a session to have a schema.
        snowflake.connector.connect(database=DATABASE).cursor().execute("create schema public")
        yield


def _execute_all(cursor: Any, command: str, params: Any = None, *args: Any, **kwargs: Any) -> Any:
    """Run every statement of a script; fakesnow runs the first."""
    for statement in _statements(command):
        for words, in_duckdb in _WORDS.items():
            statement = re.sub(words, in_duckdb, statement)  # noqa: PLW2901
        _EXECUTE(cursor, statement, params, *args, **kwargs)
    return cursor


def _statements(script: str) -> Iterator[str]:
    start = 0
    for token in Dialect.get_or_raise("snowflake").tokenize(script):
        if token.token_type == TokenType.SEMICOLON:
            if script[start : token.start].strip():
                yield script[start : token.start]
            start = token.end + 1
    if script[start:].strip():
        yield script[start:]


def _description(cursor: Any) -> Any:
    """Describe what a query gave; fakesnow cannot for statements that give nothing."""
    try:
        return _DESCRIPTION(cursor)
    except ProgrammingError:
        return None


def _fetch_many(cursor: Any, size: int | None = None) -> list[Any]:
    """Fetch rows with integers where a number has no places, as Snowflake's own connector does."""
    return [
        {name: _whole(value) for name, value in row.items()} if isinstance(row, dict) else tuple(map(_whole, row))
        for row in _FETCHMANY(cursor, size)
    ]


def _whole(value: object) -> object:
    return int(value) if isinstance(value, Decimal) and value.as_tuple().exponent == 0 else value


def _read_file(job: Any) -> None:
    client = job._job_client.sql_client
    table = client.make_qualified_table_name(job.load_table_name)
    client.native_connection._duck_conn.execute(
        f"insert into {table} by name select * from read_parquet('{job._file_path}')"
    )
