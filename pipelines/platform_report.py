"""The platform's own report as typed rows: which column is what, and which lines cannot be read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from models.currencies import CURRENCY_EXPONENTS
from pipelines.held_rows import KINDS
from pipelines.report_file import Cell, FileLayout, read_lines
from pipelines.report_values import (
    Cells,
    Moment,
    NumberStyle,
    UnreadableCellError,
    count_of,
    day_of,
    from_minor_units,
    moment_of,
    money_of,
    text_of,
)

IGNORED = "ignored"
"""What a kind is mapped to whose rows are to be left out."""

REPORT_SCHEMA = pa.schema(
    [
        ("line", pa.int64()),
        ("kind", pa.string()),
        ("id", pa.string()),
        ("partner", pa.string()),
        ("currency", pa.string()),
        ("amount", pa.decimal128(38, 18)),
        ("events", pa.int64()),
        ("day", pa.date32()),
        ("happened_at", pa.timestamp("us")),
        ("other_happened_at", pa.timestamp("us")),
    ]
)


@dataclass(frozen=True, slots=True)
class ReportShape:
    """
    What a platform's report is like.

    Attributes:
        columns: From `id`, `partner`, `day`, `timestamp`, `currency`, `kind`, `amount` and `count` to the headers; one
            that is absent is not compared.
        constants: Of `kind`, `currency` and `partner`: the value of every row whose own cell is blank or has no column.
        kinds: From the values of the column `kind` to ours, or to IGNORED.
        is_by_id: Rows are matched by id; otherwise they are summed.
        is_summed: A row stands for as many events as its count says, not for one.
        zone: Of its days, and of timestamps without an offset.
        date_format: As `report_values` takes it.
        has_minor_units: Amounts are in cents, or what the currency has in their place.
    """

    columns: Mapping[str, str]
    constants: Mapping[str, str]
    zone: ZoneInfo
    kinds: Mapping[str, str] = field(default_factory=dict)
    is_by_id: bool = True
    is_summed: bool = False
    layout: FileLayout = field(default_factory=FileLayout)
    style: NumberStyle = field(default_factory=NumberStyle)
    date_format: str | None = None
    has_minor_units: bool = False

    def has(self, name: str) -> bool:
        """Return whether the report says *name*, in a column or once for all rows."""
        return name in self.columns or name in self.constants


@dataclass(frozen=True, slots=True)
class WrongRow:
    """
    A line that cannot be compared.

    Attributes:
        line: From 1.
        reason: Why, naming the column.
        kind: Of KINDS, with `id`: what the line is about, as far as it could be read.
    """

    line: int
    reason: str
    kind: str | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class PlatformReport:
    """
    A report that was read.

    Attributes:
        rows: In REPORT_SCHEMA. `day` is set where the report has days, `happened_at` where it has timestamps.
        wrong_rows: By line.
        ignored: Rows of a kind that is mapped to IGNORED.
        kinds: That the report speaks of: those in its rows and those that the mapping names.
    """

    rows: pa.Table
    wrong_rows: Sequence[WrongRow]
    ignored: int
    kinds: Sequence[str]


def read_report(path: Path, shape: ReportShape) -> PlatformReport:
    """
    Read the report at *path*; a line that makes no sense is set aside, and the others are read.

    Raises:
        ReportError: The file as a whole cannot be read.
    """
    return _Reading(shape).read(path)


class _WrongRowError(Exception):
    """Ends the reading of one line."""


class _Reading:
    def __init__(self, shape: ReportShape) -> None:
        self._shape = shape
        self._names = list(shape.columns)
        style, zone, date_format = shape.style, shape.zone, shape.date_format
        readers: dict[str, Callable[[Cell], object]] = {
            "amount": lambda cell: money_of(cell, style),
            "count": lambda cell: count_of(cell, style),
            "day": lambda cell: day_of(cell, date_format),
            "timestamp": lambda cell: moment_of(cell, date_format, zone),
        }
        self._readers = {name: Cells(readers[name]).read if name in readers else text_of for name in self._names}
        self._columns: dict[str, list[Any]] = {name: [] for name in REPORT_SCHEMA.names}
        self._wrong: list[WrongRow] = []
        self._ignored = 0

    def read(self, path: Path) -> PlatformReport:
        for line in read_lines(path, self._shape.layout, list(self._shape.columns.values())):
            if line.cells is None:
                self._wrong.append(WrongRow(line.number, "it has more or fewer cells than the header"))
            else:
                self._add(line.number, dict(zip(self._names, line.cells, strict=True)))
        rows = pa.Table.from_pydict(self._columns, schema=REPORT_SCHEMA)
        spoken_of = {*self._shape.kinds.values(), *self._columns["kind"], *(row.kind for row in self._wrong)}
        if "kind" in self._shape.constants:
            spoken_of.add(self._shape.constants["kind"])
        return PlatformReport(rows, self._wrong, self._ignored, [kind for kind in KINDS if kind in spoken_of])

    def _add(self, number: int, cells: Mapping[str, Cell]) -> None:
        kind: str | None = None
        event_id: str | None = None
        try:
            kind = self._kind(cells)
            if kind == IGNORED:
                self._ignored += 1
                return
            event_id = self._text("id", cells)
            row = self._row(cells)
        except _WrongRowError as error:
            self._wrong.append(WrongRow(number, str(error), kind, event_id))
            return
        row |= {"line": number, "kind": kind, "id": event_id}
        for name, values in self._columns.items():
            values.append(row.get(name))

    def _row(self, cells: Mapping[str, Cell]) -> dict[str, Any]:
        if self._shape.is_by_id and self._text("id", cells) is None:
            raise _WrongRowError("its id is blank")
        row: dict[str, Any] = {"partner": self._text("partner", cells), **self._when(cells)}
        currency = self._currency(cells)
        amount = self._value("amount", cells)
        if isinstance(amount, Decimal) and amount:
            if currency is None:
                raise _WrongRowError(f"it has an amount, {amount}, and no currency")
            if self._shape.has_minor_units:
                amount = self._in_major_units(amount, currency)
        count = self._value("count", cells)
        return {**row, "currency": currency, "amount": amount, "events": count if self._shape.is_summed else 1}

    def _in_major_units(self, amount: Decimal, currency: str) -> Decimal:
        try:
            return from_minor_units(amount, CURRENCY_EXPONENTS[currency])
        except UnreadableCellError as error:
            raise _WrongRowError(f"{self._shape.columns['amount']!r}: {error}") from None

    def _when(self, cells: Mapping[str, Cell]) -> dict[str, date | datetime | None]:
        if "timestamp" in cells:
            moment = self._value("timestamp", cells)
            if not isinstance(moment, Moment):
                raise _WrongRowError(f"{self._shape.columns['timestamp']!r} is blank")
            return {"happened_at": moment.first, "other_happened_at": moment.second}
        if "day" in cells:
            day = self._value("day", cells)
            if not isinstance(day, date):
                raise _WrongRowError(f"{self._shape.columns['day']!r} is blank")
            return {"day": day}
        return {}

    def _kind(self, cells: Mapping[str, Cell]) -> str:
        written = self._text("kind", cells)
        if written is None:
            raise _WrongRowError("its kind is blank")
        kind = self._shape.kinds.get(written, written)
        if kind != IGNORED and kind not in KINDS:
            raise _WrongRowError(f"its kind {written!r} is not among `kinds` of the report")
        return kind

    def _currency(self, cells: Mapping[str, Cell]) -> str | None:
        written = self._text("currency", cells)
        if written is None:
            return None
        code = written.upper()
        if code not in CURRENCY_EXPONENTS:
            raise _WrongRowError(f"{written!r} is not a known currency")
        return code

    def _text(self, name: str, cells: Mapping[str, Cell]) -> str | None:
        text = self._value(name, cells)
        return text if isinstance(text, str) and text else self._shape.constants.get(name)

    def _value(self, name: str, cells: Mapping[str, Cell]) -> object:
        if name not in cells:
            return None
        try:
            return self._readers[name](cells[name])
        except UnreadableCellError as error:
            raise _WrongRowError(f"{self._shape.columns[name]!r}: {error}") from None
