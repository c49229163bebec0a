"""Lines of an input into rows of its table: the good ones as Arrow, the wrong ones each with its line and reason."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from models.inputs import InputTable
from pipelines.errors import PipelineError
from pipelines.input_values import ARROW_TYPES, CellStyle, Value, WrongCellError, reader_of
from pipelines.report_file import Cell, FileLayout, ReportLine

KEPT_WRONG_ROWS = 1000
"""Of one file; more of them tell nobody more."""

_ROWS_AT_A_TIME = 10_000
_REMEMBERED_CELLS = 5_000
"""Of each column."""

_VERSION = "1"
"""Of what this module makes of a line; with another one every file is read again."""

LinesOf = Callable[[Sequence[str]], Iterator[ReportLine]]


class InputRefusedError(PipelineError):
    """A file or table is not what is configured; none of it is loaded, and what was loaded of it stays."""


@dataclass(frozen=True, slots=True)
class InputShape:
    """
    What the rows of an input look like where they come from.

    Attributes:
        columns: Their name of a column, under ours, where the two differ.
        constants: What stands for a blank cell, or for a column that is not there.
        without: Columns of ours that are not there.
        layout: Of files.
    """

    table: InputTable
    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    layout: FileLayout = field(default_factory=FileLayout)
    style: CellStyle = field(default_factory=CellStyle)

    @property
    def fingerprint(self) -> str:
        """What changes with anything here, so that a file read otherwise is read again."""
        return hashlib.sha256(f"{_VERSION} {self!r}".encode()).hexdigest()

    def header_of(self, column: str) -> str:
        """Return the name of *column* where it comes from."""
        return self.columns.get(column, column)


@dataclass(frozen=True, slots=True)
class WrongRow:
    """
    Why a row was left out.

    Attributes:
        line: Of the file or sheet; of the row in Parquet or SQL, from 1. None: it is about the whole file.
        column: As it is called there; None where it is about several.
        reason: Without the value, which may be personal.
    """

    line: int | None
    column: str | None
    reason: str

    def __str__(self) -> str:
        """Say it in one line."""
        where = "" if self.line is None else f"line {self.line}: "
        return f"{where}{self.reason if self.column is None else f'{self.column!r} {self.reason}'}"


@dataclass(frozen=True, slots=True)
class ReadRows:
    """
    What was made of the lines of one file.

    Attributes:
        rows: The good ones: the columns of the table, `line`, and `row_key`, a hash of the key.
        wrong: The first of the wrong ones.
        wrong_count: All of them.
        repeated: Good ones whose key stands again further down, where it takes their place.
    """

    rows: pa.Table
    wrong: tuple[WrongRow, ...]
    wrong_count: int
    repeated: int


def read_rows(header: Sequence[str], lines_of: LinesOf, shape: InputShape) -> ReadRows:
    """
    Read every line.

    Args:
        header: The names of the columns that there are.
        lines_of: Yields the lines with the cells of the columns asked for.

    Raises:
        InputRefusedError: A column is missing, renamed by all appearances, or there twice.
    """
    found = _columns_found(header, shape)
    readers = [
        (
            column.name,
            _remembering(reader_of(column.kind, shape.style)),
            shape.constants.get(column.name),
            column.is_required,
        )
        for column in shape.table.columns
    ]
    places = {name: place for place, name in enumerate(found)}
    collected = _Collected(shape)
    for line in lines_of([shape.header_of(name) for name in found]):
        if line.cells is None:
            collected.refuse(WrongRow(line.number, None, "it has more or fewer cells than there are columns"))
            continue
        row: dict[str, Value] = {}
        wrong = None
        for name, read, constant, is_required in readers:
            cell: Cell = line.cells[places[name]] if name in places else None
            cell = constant if cell is None else cell
            try:
                if cell is None and is_required:
                    raise WrongCellError("is empty")  # noqa: TRY301 - told like what the reader finds
                row[name] = None if cell is None else read(cell)
            except WrongCellError as error:
                wrong = WrongRow(line.number, shape.header_of(name), str(error))
                break
        if wrong is None and shape.table.one_of and all(row[name] is None for name in shape.table.one_of):
            wrong = WrongRow(line.number, None, f"it has none of {', '.join(map(shape.header_of, shape.table.one_of))}")
        if wrong is None:
            collected.add(line.number, row)
        else:
            collected.refuse(wrong)
    return collected.read()


def _remembering(read: Callable[[Cell], Value]) -> Callable[[Cell], Value]:
    """Return *read* for a column, which holds the same again and again: each value is read once."""
    known: dict[tuple[type, Cell], Value] = {}

    def reading(cell: Cell) -> Value:
        # With the type: 1, 1.0 and True are one key.
        key = (type(cell), cell)
        if key not in known:
            if len(known) >= _REMEMBERED_CELLS:
                known.clear()
            known[key] = read(cell)
        return known[key]

    return reading


def row_schema(table: InputTable) -> pa.Schema:
    """Return what the rows of *table* look like once they are read."""
    return pa.schema(
        [
            *(pa.field(column.name, ARROW_TYPES[column.kind]) for column in table.columns),
            pa.field("line", pa.int64()),
            pa.field("row_key", pa.string()),
        ]
    )


class _Collected:
    """Rows on their way into Arrow, few of them as Python's own objects at a time."""

    def __init__(self, shape: InputShape) -> None:
        self._table = shape.table
        self._schema = row_schema(shape.table)
        self._waiting: list[dict[str, object]] = []
        self._batches: list[pa.RecordBatch] = []
        self._keys: set[str] = set()
        self._count = 0
        self._wrong: list[WrongRow] = []
        self._wrong_count = 0

    def add(self, line: int, row: dict[str, Value]) -> None:
        key = hashlib.sha256(repr([row[name] for name in self._table.key]).encode()).hexdigest()
        self._keys.add(key)
        self._count += 1
        self._waiting.append({**row, "line": line, "row_key": key})
        if len(self._waiting) >= _ROWS_AT_A_TIME:
            self._flush()

    def refuse(self, wrong: WrongRow) -> None:
        self._wrong_count += 1
        if len(self._wrong) < KEPT_WRONG_ROWS:
            self._wrong.append(wrong)

    def read(self) -> ReadRows:
        self._flush()
        rows = pa.Table.from_batches(self._batches, self._schema)
        return ReadRows(rows, tuple(self._wrong), self._wrong_count, self._count - len(self._keys))

    def _flush(self) -> None:
        if self._waiting:
            self._batches.append(pa.RecordBatch.from_pylist(self._waiting, self._schema))
            self._waiting = []


def _columns_found(header: Sequence[str], shape: InputShape) -> list[str]:
    """Return those of our columns that *header* has, in our order."""
    names = [column.name for column in shape.table.columns if column.name not in shape.without]
    theirs = {name: shape.header_of(name) for name in names}
    found = [name for name in names if theirs[name] in header]
    twice = [theirs[name] for name in found if list(header).count(theirs[name]) > 1]
    if twice:
        raise InputRefusedError(f"The column {twice[0]!r} is there more than once; {_expected(theirs, header)}")
    missing = [name for name in names if name not in found and name not in shape.constants]
    needed = [name for name in missing if name in shape.table.required or name in shape.columns]
    if shape.table.one_of and all(name in missing or name in shape.without for name in shape.table.one_of):
        needed += [name for name in shape.table.one_of if name in missing]
    # An optional column may be absent; beside one that nobody knows, it has more likely another name by now.
    strangers = [name for name in header if name and name not in theirs.values()]
    suspicious = needed or (missing if strangers else [])
    if suspicious:
        raise InputRefusedError(
            f"There is no column {', '.join(repr(theirs[name]) for name in suspicious)}; {_expected(theirs, header)}"
        )
    return found


def _expected(theirs: Mapping[str, str], header: Sequence[str]) -> str:
    return (
        f"expected: {', '.join(theirs.values())}; found: {', '.join(filter(None, header)) or 'none'}. Say in the "
        "configuration how they are called (`columns`), or which of the optional ones there are not (`without`)."
    )
