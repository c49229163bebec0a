"""What a cell of a report means: exact money, whole counts, days, and moments of one time zone."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal, InvalidOperation
from typing import TypeVar
from zoneinfo import ZoneInfo

from pipelines.report_file import Cell

UNIX_SECONDS, UNIX_MILLISECONDS = "unix", "unix_ms"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SPACES = str.maketrans(dict.fromkeys("\u00a0\u2007\u2009\u202f", " "))
_INTEGER_DIGITS, _DECIMALS = 20, 18
_SMALLEST = Decimal("1e-18")
_FLOAT_DECIMALS = Decimal("1e-12")
_EXACT = Context(prec=1000)
"""Enough digits that nothing in a cell is rounded on the way."""

T = TypeVar("T")


class UnreadableCellError(ValueError):
    """A cell is not what its column holds; the message says why, without a full stop."""


@dataclass(frozen=True, slots=True)
class NumberStyle:
    """
    How a report writes numbers as text.

    Attributes:
        decimal: What parts the decimals.
        thousands: What may part groups of three digits; empty: nothing does.
    """

    decimal: str = "."
    thousands: str = ""


@dataclass(frozen=True, slots=True)
class Moment:
    """
    When something happened, in UTC without a zone.

    Attributes:
        first: The instant.
        second: The other one that it may mean, where clocks were set back in between.
    """

    first: datetime
    second: datetime | None = None


class Cells:
    """Cells read one way, each distinct one once: the columns of a report repeat themselves."""

    def __init__(self, read: Callable[[Cell], object]) -> None:
        self._read = read
        self._known: dict[tuple[type, Cell], object] = {}

    def read(self, cell: Cell) -> object:
        """
        Return what *cell* means.

        Raises:
            UnreadableCellError: It means nothing here.
        """
        # With the type: 1, 1.0 and True are one key.
        key = (type(cell), cell)
        if key not in self._known:
            self._known[key] = self._read(cell)
        return self._known[key]


def text_of(cell: Cell) -> str | None:
    """Return an id or a name; a number in a cell of text is its digits."""
    if cell is None:
        return None
    if isinstance(cell, float | Decimal) and cell % 1 == 0:
        return str(int(cell))
    return str(cell).strip()


def money_of(cell: Cell, style: NumberStyle) -> Decimal | None:
    """
    Return an amount exactly as it is written.

    Binary floats, which only XLSX and Parquet hold, mean their shortest decimal, rounded to twelve places, so that the
    noise of a sum (0.30000000000000004) is none. Accounting's brackets and a currency sign are understood in text.

    Raises:
        UnreadableCellError: It is no amount, or does not fit decimal(38, 18).
    """
    match cell:
        case None:
            return None
        case bool() | date():
            raise UnreadableCellError(f"{cell} is not an amount")
        case int():
            amount = Decimal(cell)
        case float():
            amount = _rounded(Decimal(repr(cell)))
        case Decimal():
            amount = cell
        case str():
            amount = _written(cell, style)
    return _fitting(amount)


def from_minor_units(amount: Decimal, exponent: int) -> Decimal:
    """
    Return *amount* with the point *exponent* places further left.

    Raises:
        UnreadableCellError: It does not fit decimal(38, 18).
    """
    return _fitting(amount.scaleb(-exponent, _EXACT))


def _fitting(amount: Decimal) -> Decimal:
    _, digits, exponent = amount.as_tuple()
    if not isinstance(exponent, int):
        raise UnreadableCellError(f"{amount} is not an amount")
    # Not by `normalize`, nor by a sign before it: both round to the digits of their context.
    decimals = -exponent - (len(digits) - len("".join(map(str, digits)).rstrip("0")))
    if amount and (amount.adjusted() >= _INTEGER_DIGITS or decimals > _DECIMALS):
        raise UnreadableCellError(f"{amount} has more than {_INTEGER_DIGITS} digits or {_DECIMALS} decimals")
    return amount.quantize(_SMALLEST, context=_EXACT) if amount else Decimal(0)


def _rounded(amount: Decimal) -> Decimal:
    try:
        return amount.quantize(_FLOAT_DECIMALS)
    except InvalidOperation:  # too large to have twelve decimals, or not finite
        return amount


def _written(cell: str, style: NumberStyle) -> Decimal:
    text = cell.translate(_SPACES).replace("\u2212", "-").strip()
    is_negative = text.startswith("(") and text.endswith(")")
    if is_negative:
        text = text[1:-1].strip()
    if text[:1] in {"-", "+"}:
        is_negative, text = is_negative != (text[0] == "-"), text[1:].lstrip()
    text = "".join(each for each in text if unicodedata.category(each) != "Sc").strip()
    if text[:1] == "-" and not is_negative:
        is_negative, text = True, text[1:]
    integer = r"\d+" if not style.thousands else rf"(?:\d+|\d{{1,3}}(?:{re.escape(style.thousands)}\d{{3}})+)"
    if not re.fullmatch(rf"{integer}(?:{re.escape(style.decimal)}\d+)?", text, re.ASCII):
        raise UnreadableCellError(f"{cell!r} is not an amount written as `decimal` and `thousands` say")
    if style.thousands:
        text = text.replace(style.thousands, "")
    amount = Decimal(text.replace(style.decimal, "."))
    return amount.copy_negate() if is_negative else amount


def count_of(cell: Cell, style: NumberStyle) -> int | None:
    """
    Return a whole number.

    Raises:
        UnreadableCellError: It is none, or below 0.
    """
    amount = money_of(cell, style)
    if amount is None:
        return None
    if amount != amount.to_integral_value() or amount < 0 or amount >= 2**63:
        raise UnreadableCellError(f"{cell!r} is not a count")
    return int(amount)


def day_of(cell: Cell, date_format: str | None) -> date | None:
    """
    Return a day as it is written.

    Args:
        cell: Text, or a date, or a time of midnight, as spreadsheets hold days.
        date_format: As `strptime` takes it; None is ISO 8601.

    Raises:
        UnreadableCellError: It is none, or it has a time.
    """
    read = _time_of(cell, date_format)
    if not isinstance(read, datetime):
        return read
    if read.time() != time() or read.tzinfo is not None:
        raise UnreadableCellError(f"{cell} is not a day but a time; name the column as `timestamp`")
    return read.date()


def moment_of(cell: Cell, date_format: str | None, zone: ZoneInfo) -> Moment | None:
    """
    Return a moment in UTC.

    Args:
        cell: Text, or a time as the file holds it. Without an offset it is a time of *zone*.
        date_format: As `strptime` takes it; None is ISO 8601; `unix` and `unix_ms` are seconds and milliseconds.
        zone: Of the report.

    Raises:
        UnreadableCellError: It is none, it has no time, or no clock in *zone* ever showed it.
    """
    read = _time_of(cell, date_format)
    if read is None:
        return None
    if not isinstance(read, datetime):
        raise UnreadableCellError(f"{cell} is a day without a time; name the column as `day`")
    try:
        if read.tzinfo is not None:
            return Moment(_in_utc(read))
        first, second = (_in_utc(read.replace(tzinfo=zone, fold=fold)) for fold in (0, 1))
    except OverflowError:
        raise UnreadableCellError(f"{cell} lies outside the years 1 to 9999") from None
    if first.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None) != read:
        raise UnreadableCellError(f"{cell} never was in {zone.key}, where clocks were set ahead; correct `timezone`")
    return Moment(first, None if first == second else second)


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def _time_of(cell: Cell, date_format: str | None) -> datetime | date | None:
    if cell is None or isinstance(cell, date):
        return cell
    if date_format in {UNIX_SECONDS, UNIX_MILLISECONDS}:
        return _unix_time(cell, 1000 if date_format == UNIX_MILLISECONDS else 1)
    if not isinstance(cell, str):
        raise UnreadableCellError(f"{cell} is not a time")
    text = cell.strip()
    try:
        if date_format is not None:
            read = datetime.strptime(text, date_format)  # noqa: DTZ007 - the zone is that of the report
            has_time = any(directive in date_format for directive in ("%H", "%I", "%X", "%c", "%T"))
            return read if has_time else read.date()
        return date.fromisoformat(text) if len(text) <= len("2026-01-01") else datetime.fromisoformat(text)
    except ValueError:
        raise UnreadableCellError(f"{cell!r} is not a time written as `date_format` says") from None


def _unix_time(cell: Cell, units: int) -> datetime:
    try:
        return _EPOCH + timedelta(microseconds=int(Decimal(str(cell)) * (1_000_000 // units)))
    except (InvalidOperation, OverflowError, ValueError):
        raise UnreadableCellError(f"{cell!r} is not a Unix time") from None
