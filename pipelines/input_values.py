"""What a cell of an input means. What is said about a wrong one never repeats it: it may be personal."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Context, Decimal
from zoneinfo import ZoneInfo

import pyarrow as pa

from models.currencies import CURRENCY_EXPONENTS
from models.inputs import InputKind
from pipelines.report_file import Cell
from pipelines.report_values import NumberStyle, UnreadableCellError, day_of, moment_of, money_of, text_of

Value = str | date | datetime | Decimal | bool | None

ARROW_TYPES: dict[InputKind, pa.DataType] = {
    InputKind.TEXT: pa.string(),
    InputKind.CURRENCY: pa.string(),
    InputKind.DAY: pa.date32(),
    InputKind.MONTH: pa.date32(),
    InputKind.MOMENT: pa.timestamp("us"),
    InputKind.MONEY: pa.decimal128(28, 8),
    InputKind.QUANTITY: pa.decimal128(38, 18),
    InputKind.RATE: pa.decimal128(38, 18),
    InputKind.FLAG: pa.bool_(),
}

_UTC = ZoneInfo("UTC")
_EXACT = Context(prec=1000)
_CENT_OF_A_MILLIONTH = Decimal("1e-8")
_QUANTITY_DECIMALS = Decimal("1e-18")
_LONGEST_TEXT = 1000
_FLAGS = {
    **dict.fromkeys(("true", "t", "yes", "y", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0"), False),
}


class WrongCellError(ValueError):
    """A cell is not what its column holds; the message continues the name of the column, and leaves out the cell."""


@dataclass(frozen=True, slots=True)
class CellStyle:
    """
    How an input writes numbers and days as text.

    Attributes:
        date_format: As `strptime` takes it; None is ISO 8601.
    """

    numbers: NumberStyle = field(default_factory=NumberStyle)
    date_format: str | None = None


def reader_of(kind: InputKind, style: CellStyle) -> Callable[[Cell], Value]:
    """Return what reads a cell that is not blank, or raises WrongCellError."""
    match kind:
        case InputKind.TEXT:
            return _text
        case InputKind.CURRENCY:
            return _currency
        case InputKind.DAY:
            return lambda cell: _day(cell, style.date_format)
        case InputKind.MONTH:
            return lambda cell: _month(cell, style.date_format)
        case InputKind.MOMENT:
            return _moment
        case InputKind.MONEY:
            return lambda cell: _money(cell, style.numbers)
        case InputKind.QUANTITY:
            return lambda cell: _quantity(cell, style.numbers)
        case InputKind.RATE:
            return lambda cell: _rate(cell, style.numbers)
        case InputKind.FLAG:
            return _flag


def _text(cell: Cell) -> str:
    text = text_of(cell) or ""
    if "\0" in text or len(text) > _LONGEST_TEXT:
        raise WrongCellError(f"holds a NUL character, or over {_LONGEST_TEXT} characters")
    return text


def _currency(cell: Cell) -> str:
    code = str(cell).strip().upper()
    if code not in CURRENCY_EXPONENTS:
        raise WrongCellError("is not a known currency code")
    return code


def _day(cell: Cell, date_format: str | None) -> date:
    try:
        day = day_of(cell, date_format)
    except UnreadableCellError:
        raise WrongCellError(f"is not a day{_as_written(date_format)}") from None
    if day is None:
        raise WrongCellError("is empty")
    return day


def _month(cell: Cell, date_format: str | None) -> date:
    if isinstance(cell, str) and date_format is None and len(cell.strip()) == len("2026-01"):
        cell = f"{cell.strip()}-01"
    day = _day(cell, date_format)
    if day.day != 1:
        raise WrongCellError("is not the first day of a month")
    return day


def _moment(cell: Cell) -> datetime:
    try:
        # A day alone is its midnight, as a spreadsheet has it.
        day = day_of(cell, None)
    except UnreadableCellError:
        day = None
    if day is not None:
        return datetime.combine(day, time())
    try:
        moment = moment_of(cell, None, _UTC)
    except UnreadableCellError:
        moment = None
    if moment is None:
        raise WrongCellError("is not a time as ISO 8601 writes it")
    return moment.first


def _money(cell: Cell, style: NumberStyle) -> Decimal:
    amount = _number(cell, style)
    rounded = amount.quantize(_CENT_OF_A_MILLIONTH, context=_EXACT)
    if rounded != amount:
        raise WrongCellError("has more than 8 decimals")
    return rounded


def _quantity(cell: Cell, style: NumberStyle) -> Decimal:
    # Its shortest decimal has up to 17 digits wherever they begin; those of a sender's own text are never cut.
    exact = Decimal(repr(cell)).quantize(_QUANTITY_DECIMALS, context=_EXACT) if _is_finite_float(cell) else cell
    return _number(exact, style)


def _rate(cell: Cell, style: NumberStyle) -> Decimal:
    rate = _quantity(cell, style)
    if rate <= 0:
        raise WrongCellError("is not above 0")
    return rate


def _number(cell: Cell, style: NumberStyle) -> Decimal:
    try:
        number = money_of(cell, style)
    except UnreadableCellError:
        raise WrongCellError(
            f"is not a number, decimals behind {style.decimal!r}, or has over 20 digits or 18 decimals"
        ) from None
    if number is None:
        raise WrongCellError("is empty")
    return number


def _flag(cell: Cell) -> bool:
    text = str(text_of(cell) if not isinstance(cell, bool) else cell).casefold()
    if text not in _FLAGS:
        raise WrongCellError("is neither true nor false")
    return _FLAGS[text]


def _is_finite_float(cell: Cell) -> bool:
    return isinstance(cell, float) and abs(cell) < float("inf")


def _as_written(date_format: str | None) -> str:
    return ", written YYYY-MM-DD" if date_format is None else ", written as `date_format` says"
