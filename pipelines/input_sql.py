"""An input from a table of another database."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import dlt
import sqlalchemy as sa
from dlt.common.exceptions import DltException
from dlt.sources.sql_database import sql_table
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, NoSuchTableError, SQLAlchemyError

from pipelines.input_rows import InputRefusedError, InputShape, ReadRows, WrongRow, read_rows
from pipelines.report_file import Cell, ReportLine

_ROWS_AT_A_TIME = 10_000

_CURSOR_TYPES: dict[str, tuple[type, Callable[[Any], Any]]] = {
    # By exact type: a datetime is a date too.
    "int": (int, int),
    "text": (str, str),
    "decimal": (Decimal, Decimal),
    "moment": (datetime, datetime.fromisoformat),
    "day": (date, date.fromisoformat),
}


@dataclass(frozen=True, slots=True)
class SqlTable:
    """
    A table or view, only read.

    Attributes:
        url: As SQLAlchemy takes it; may hold a password.
        table: Its name, behind that of its schema and a dot where it has one.
        cursor: A column that only grows; None reads the whole table each time.
    """

    url: str = field(repr=False)
    table: str
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class KnownRows:
    """
    What was read before.

    Attributes:
        content_hash: Of the whole table; with a cursor, of the rows at its end.
        end: The greatest value of the cursor, as `encoded`; None without one.
    """

    content_hash: str
    end: str | None


@dataclass(frozen=True, slots=True)
class TableReading:
    """The rows that are new, and what is known after them."""

    rows: ReadRows
    known: KnownRows


def read_table(source: SqlTable, shape: InputShape, known: KnownRows | None) -> TableReading | None:
    """
    Read *source*, from the end of *known* where it has a cursor; None where nothing has changed.

    Raises:
        InputRefusedError: The database or table cannot be read, or a column is not there.
    """
    with _refusing(source):
        engine = sa.create_engine(source.url)
        try:
            schema, _, table = source.table.rpartition(".")
            header = [column["name"] for column in sa.inspect(engine).get_columns(table, schema=schema or None)]
            if source.cursor is not None and source.cursor not in header:
                raise InputRefusedError(
                    f"There is no column {source.cursor!r}; found: {', '.join(header)}. Correct `cursor`."
                )
            lines = _Lines(engine, source, known)
            rows = read_rows(header, lines.yielded, shape)
            if lines.are_known:
                return None
            if known is None and source.cursor is not None:
                rows = _with_endless(rows, engine, source)
            return TableReading(rows, lines.known())
        finally:
            engine.dispose()


class _Lines:
    """The rows of the table, as lines; and afterwards, what was among them."""

    def __init__(self, engine: sa.Engine, source: SqlTable, known: KnownRows | None) -> None:
        self._engine = engine
        self._source = source
        self._known = known
        self._start = None if known is None or known.end is None else decoded(known.end)
        self._end = self._start
        self._hashes: list[bytes] = []
        self.are_known = False

    def known(self) -> KnownRows:
        """What is known once all lines were yielded."""
        return KnownRows(_combined(self._hashes), None if self._end is None else encoded(self._end))

    def yielded(self, columns: Sequence[str]) -> Iterator[ReportLine]:
        """Yield the lines that may be new; `are_known` tells afterwards that none is."""
        held_back: list[list[Cell]] = []
        number = 0
        for end, cells in self._selected(columns):
            if self._start is not None and end == self._start:
                held_back.append(cells)
                self._hashes.append(_hash(cells))
                continue
            # The rows where the last reading ended come first, and whether they are new, all of them tell.
            for each in self._unless_known(held_back):
                number += 1
                yield ReportLine(number, each)
            held_back = []
            if self._source.cursor is not None and end != self._end:
                self._end, self._hashes = end, []
            self._hashes.append(_hash(cells))
            number += 1
            yield ReportLine(number, cells)
        for each in self._unless_known(held_back):
            number += 1
            yield ReportLine(number, each)
        self.are_known = self._known is not None and (
            number == 0 if self._start is not None else _combined(self._hashes) == self._known.content_hash
        )

    def _unless_known(self, held_back: list[list[Cell]]) -> list[list[Cell]]:
        if not held_back or self._known is None or _combined(self._hashes) == self._known.content_hash:
            return []
        return held_back

    def _selected(self, columns: Sequence[str]) -> Iterator[tuple[Any, list[Cell]]]:
        schema, _, table = self._source.table.rpartition(".")
        cursor = self._source.cursor
        incremental = (
            None
            if cursor is None
            else dlt.sources.incremental(
                cursor, initial_value=self._start, row_order="asc", on_cursor_value_missing="exclude"
            )
        )
        for row in sql_table(
            credentials=self._engine,
            table=table,
            schema=schema or None,
            incremental=incremental,
            chunk_size=_ROWS_AT_A_TIME,
            reflection_level="minimal",
            included_columns=list(dict.fromkeys([*columns, *([] if cursor is None else [cursor])])),
        ):
            yield None if cursor is None else row[cursor], [_cell(row[column]) for column in columns]


def encoded(end: Any) -> str:
    """
    Return a value of a cursor as text.

    Raises:
        InputRefusedError: It is of a type that nothing can be compared with later.
    """
    for name, (kind, _) in _CURSOR_TYPES.items():
        if type(end) is kind:
            return json.dumps([name, end.isoformat() if isinstance(end, date) else str(end)])
    raise InputRefusedError(
        f"`cursor` has values of the type {type(end).__name__}; take a column of whole numbers, times, days or text."
    )


def decoded(text: str) -> Any:
    """Return the value that `encoded` made into *text*."""
    name, value = json.loads(text)
    return _CURSOR_TYPES[name][1](value)


def _with_endless(rows: ReadRows, engine: sa.Engine, source: SqlTable) -> ReadRows:
    """Tell of the rows whose cursor is null, which no reading finds."""
    schema, _, table = source.table.rpartition(".")
    cursor: sa.ColumnClause[Any] = sa.column(str(source.cursor))
    query = sa.select(sa.func.count()).select_from(sa.table(table, schema=schema or None)).where(cursor.is_(None))
    with engine.connect() as connection:
        count = int(connection.execute(query).scalar_one())
    if not count:
        return rows
    wrong = WrongRow(None, source.cursor, f"is null in {count} rows, which therefore are never read")
    return ReadRows(rows.rows, (wrong, *rows.wrong), rows.wrong_count + count, rows.repeated)


@contextmanager
def _refusing(source: SqlTable) -> Iterator[None]:
    """Say in a sentence, and without the URL, what SQLAlchemy, a driver or dlt has to say."""
    try:
        yield
    except (ArgumentError, NoSuchModuleError):
        raise InputRefusedError(
            "What `sql` names is not a URL that SQLAlchemy knows; write it as postgresql+psycopg2://user:password@host/database."
        ) from None
    except NoSuchTableError:
        raise InputRefusedError(
            f"There is no table {source.table}; correct `table`, or what the user may read."
        ) from None
    except ModuleNotFoundError as error:
        raise InputRefusedError(f"The driver {error.name} is not installed; install it beside hookmart.") from error
    except (SQLAlchemyError, DltException) as error:
        raise InputRefusedError(f"{source.table} cannot be read: {_said(error)}.") from None


def _said(error: BaseException) -> str:
    """Return the driver's own first line: what is around it repeats the query, and may repeat the URL."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, SQLAlchemyError):
            return str(getattr(seen, "orig", None) or type(seen).__name__).strip().partition("\n")[0].rstrip(".")
        seen = seen.__cause__ or seen.__context__
    return type(error).__name__


def _cell(value: Any) -> Cell:
    """Return *value* as a cell of a file would be: a UUID and the like as text."""
    if isinstance(value, str):
        return value if value.strip() else None
    if isinstance(value, float) and value != value:  # noqa: PLR0124 - not a number
        return None
    return value if value is None or isinstance(value, int | float | Decimal | date) else str(value)


def _hash(cells: Sequence[Cell]) -> bytes:
    return hashlib.sha256(repr(cells).encode()).digest()


def _combined(hashes: Sequence[bytes]) -> str:
    """Return the hash of rows in whatever order they come."""
    return hashlib.sha256(b"".join(sorted(hashes))).hexdigest()
