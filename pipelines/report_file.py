"""The cells of a report as it was exported: CSV, XLSX or Parquet, each cell with the line it stands in."""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from zipfile import BadZipFile

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import PipelineError

Cell = str | int | float | Decimal | datetime | date | bool | None
"""As the format holds it: text in CSV, numbers and times in XLSX and Parquet. Blank text is None."""

SUFFIXES = (".csv", ".txt", ".tsv", ".xlsx", ".parquet")


class ReportError(PipelineError):
    """The report cannot be read as the configuration describes it; the message says what to do."""


@dataclass(frozen=True, slots=True)
class FileLayout:
    """
    What a file does not say of itself.

    Attributes:
        encoding: Of CSV.
        delimiter: Of CSV, one character.
        sheet: Of XLSX; None is the first.
        skip_rows: Lines above the header.
        skip_last_rows: Lines below the rows, such as a total.
    """

    encoding: str = "utf-8"
    delimiter: str = ","
    sheet: str | None = None
    skip_rows: int = 0
    skip_last_rows: int = 0


@dataclass(frozen=True, slots=True)
class ReportLine:
    """
    One line under the header.

    Attributes:
        number: From 1, of the file; of the sheet in XLSX; of the row in Parquet, which has no lines.
        cells: In the order of the columns asked for; None where the line has not as many cells as the header.
    """

    number: int
    cells: Sequence[Cell] | None


def read_lines(path: Path, layout: FileLayout, columns: Sequence[str]) -> Iterator[ReportLine]:
    """
    Yield the lines of the report at *path* that are not blank, with the cells of *columns*.

    Raises:
        ReportError: It is no such file, it is damaged, or a column is missing or there twice.
    """
    _, lines_of = open_table(path, layout)
    yield from lines_of(columns)


def open_table(path: Path, layout: FileLayout) -> tuple[list[str], Callable[[Sequence[str]], Iterator[ReportLine]]]:
    """
    Return the names of the columns at *path*, and what then yields its lines with the cells of some of them, once.

    Raises:
        ReportError: It is no such file, or it is damaged; also while lines are yielded.
    """
    match path.suffix.lower():
        case ".csv" | ".txt" | ".tsv":
            lines = _csv_lines(path, layout)
        case ".xlsx":
            lines = _xlsx_lines(path, layout)
        case ".parquet":
            return _parquet_columns(path), lambda columns: _parquet_lines(path, columns)
        case _:
            raise ReportError(f"{path} is none of {', '.join(SUFFIXES)}; export it as one of these.")
    _, header = next(lines, (0, ()))
    names = ["" if cell is None else str(cell).strip() for cell in header]
    return names, lambda columns: _below_the_header(path, lines, names, layout, columns)


def _below_the_header(
    path: Path,
    lines: Iterator[tuple[int, Sequence[Cell]]],
    names: Sequence[str],
    layout: FileLayout,
    columns: Sequence[str],
) -> Iterator[ReportLine]:
    places = _places(path, names, columns)
    held_back: list[ReportLine] = []
    for number, cells in lines:
        if all(cell is None for cell in cells):
            continue
        is_whole = len(cells) == len(names)
        held_back.append(ReportLine(number, [cells[place] for place in places] if is_whole else None))
        if len(held_back) > layout.skip_last_rows:
            yield held_back.pop(0)


def _places(path: Path, names: Sequence[str], columns: Sequence[str]) -> list[int]:
    for column in columns:
        if names.count(column) != 1:
            what = "not a column" if column not in names else "there more than once"
            raise ReportError(
                f"{column!r} is {what} of {path}, whose columns are: {', '.join(names) or 'none'}; correct `columns`,"
                " `skip_rows`, `delimiter` or `sheet` in the configuration, or export it anew."
            )
    return [names.index(column) for column in columns]


def _csv_lines(path: Path, layout: FileLayout) -> Iterator[tuple[int, Sequence[Cell]]]:
    # Not pandas: its rows do not say on which line they begin, and a cell may hold line breaks.
    encoding = "utf-8-sig" if layout.encoding.lower().replace("_", "-") in {"utf-8", "utf8"} else layout.encoding
    try:
        with path.open(encoding=encoding, newline="") as file:
            for _ in range(layout.skip_rows):
                next(file, None)
            reader = csv.reader(file, delimiter=layout.delimiter, strict=True)
            begins = layout.skip_rows + 1
            for row in reader:
                yield begins, [cell if cell.strip() else None for cell in row]
                begins = layout.skip_rows + reader.line_num + 1
    except UnicodeDecodeError as error:
        raise ReportError(
            f"{path} is not {layout.encoding} ({error.reason}); correct `encoding` in the configuration."
        ) from error
    except (csv.Error, OSError) as error:
        raise ReportError(f"{path} cannot be read ({error}); export it anew, or correct `delimiter`.") from error


def _xlsx_lines(path: Path, layout: FileLayout) -> Iterator[tuple[int, Sequence[Cell]]]:
    try:
        with pd.ExcelFile(path, engine="openpyxl") as book:
            if layout.sheet is not None and layout.sheet not in book.sheet_names:
                raise ReportError(
                    f"{path} has no sheet {layout.sheet!r}, only: {', '.join(map(str, book.sheet_names))};"
                    " correct `sheet` in the configuration."
                )
            frame = pd.read_excel(book, sheet_name=layout.sheet or 0, header=None, dtype=object, na_filter=False)
    # What openpyxl raises on a damaged file is whatever it stumbles upon.
    except (BadZipFile, KeyError, ValueError, OSError) as error:
        raise ReportError(f"{path} cannot be read as XLSX ({error}); export it anew.") from error
    for index, row in enumerate(frame.itertuples(index=False, name=None)):
        if index >= layout.skip_rows:
            yield index + 1, [_without_blank(cell) for cell in row]


def _without_blank(cell: Cell) -> Cell:
    # openpyxl's cells of an error, and pandas' of no time, are not equal to themselves.
    is_blank = not cell.strip() if isinstance(cell, str) else cell != cell  # noqa: PLR0124
    return None if is_blank else cell


def _parquet_columns(path: Path) -> list[str]:
    try:
        with pq.ParquetFile(path) as file:
            names: list[str] = file.schema_arrow.names
            return names
    except (pa.ArrowException, OSError) as error:
        raise ReportError(f"{path} cannot be read as Parquet ({error}); export it anew.") from error


def _parquet_lines(path: Path, columns: Sequence[str]) -> Iterator[ReportLine]:
    try:
        with pq.ParquetFile(path) as file:
            _places(path, file.schema_arrow.names, columns)
            number = 0
            for batch in file.iter_batches(columns=list(columns)):
                for cells in zip(*(_cells(batch.column(column)) for column in columns), strict=True):
                    number += 1
                    yield ReportLine(number, [_without_blank(cell) for cell in cells])
    except (pa.ArrowException, OSError) as error:
        raise ReportError(f"{path} cannot be read as Parquet ({error}); export it anew.") from error


def _cells(column: pa.Array) -> list[Cell]:
    if pa.types.is_floating(column.type):
        # By its text: the double of a single-precision 0.1 is 0.10000000149.
        texts: list[str | None] = column.cast(pa.string()).to_pylist()
        return [None if text is None else float(text) for text in texts]
    if pa.types.is_timestamp(column.type):
        # Whatever is finer would come as a type of pandas.
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    cells: list[Cell] = column.to_pylist()
    return cells
