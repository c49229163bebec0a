"""
Values as platforms write them, to values as the contract has them. Exact: nothing is rounded, nothing passes a float.

Each takes what an expression found (never None) and returns what goes into the event, or None where it stands for
nothing. A value that is not of its kind is `Unconvertible`; the message never repeats it.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from zoneinfo import ZoneInfo

from models.currencies import CURRENCY_EXPONENTS

_DIGITS = re.compile(r"-?[0-9]{1,40}")
_PLAIN_DECIMAL = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(\.[0-9]+)?(Z|z|[+-][0-9]{2}(?::?[0-9]{2})?)"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LARGEST_EXPONENT = 40
_MOST_DECIMALS = 8
_MOST_DIGITS = 80
_EXACT = Context(prec=2 * _MOST_DIGITS)


class Unconvertible(ValueError):
    """A value is not of the kind that the mapping says; the message says what was expected."""


def text(value: object) -> str | None:
    """Text as it is, an integer by its digits (ids are numbers at some platforms); an empty text is nothing."""
    if isinstance(value, str):
        return value or None
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**40:
        return str(value)
    raise Unconvertible("text or a whole number is expected")


def boolean(value: object) -> bool:
    """True and false, also as text or as 1 and 0."""
    known = {True: True, False: False, "true": True, "false": False, "1": True, "0": False}
    if isinstance(value, bool | int | str) and value in known:
        return known[value]
    raise Unconvertible("true or false is expected")


def integer(value: object) -> int:
    """A whole number, also as text."""
    found = _whole(value)
    if -(2**63) <= found < 2**63:
        return found
    raise Unconvertible("a whole number of 64 bits is expected")


def decimal(value: object) -> str:
    """A JSON number or a decimal text, as the contract writes decimals."""
    return _written(_number(value))


def minor_units(value: object, currency: str) -> str:
    """
    An amount in the smallest unit of *currency*, as a whole number or its text, to the decimal amount.

    How many decimals that unit has says the table of currencies: JPY 0, KWD 3, most 2.
    """
    return _written(Decimal(_whole(value)).scaleb(-CURRENCY_EXPONENTS[currency], _EXACT))


def amount(value: object) -> str:
    """An amount as a JSON number or a decimal text; decimals beyond the eighth must be zeros."""
    written = _written(_number(value))
    whole, _, fraction = written.partition(".")
    if len(fraction) <= _MOST_DECIMALS:
        return written
    if fraction[_MOST_DECIMALS:].strip("0"):
        raise Unconvertible("an amount with at most 8 decimals is expected")
    return f"{whole}.{fraction[:_MOST_DECIMALS]}"


def negated(written: str) -> str:
    """The amount *written*, taken off instead of added, or the other way round."""
    if not written.strip("-0."):
        return written.removeprefix("-")
    return written.removeprefix("-") if written.startswith("-") else f"-{written}"


def currency(value: object) -> str:
    """A code that the contract knows, in whatever case."""
    code = value.upper() if isinstance(value, str) and value.isascii() else ""
    if code not in CURRENCY_EXPONENTS:
        raise Unconvertible("a known currency code is expected")
    return code


def rfc3339(value: object) -> str:
    """An instant as RFC 3339, or as ISO 8601 with a space, without seconds or with a short offset."""
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise Unconvertible("an instant with its offset from UTC is expected, such as 2026-05-03T10:00:00Z")
    day, clock, fraction, offset = found.groups()
    if len(clock) == 5:  # hours and minutes
        clock += ":00"
    if offset in {"Z", "z"}:
        offset = "+00:00"
    digits = offset[1:].replace(":", "").ljust(4, "0")
    return _instant(lambda: datetime.fromisoformat(f"{day}T{clock}{(fraction or '')[:7]}{offset[0]}{digits}"))


def unix_seconds(value: object) -> str:
    """Seconds since 1970, as a number or its text."""
    return _since_epoch(value, 0)


def unix_milliseconds(value: object) -> str:
    """Milliseconds since 1970, as a number or its text."""
    return _since_epoch(value, -3)


def by_format(value: object, pattern: str, zone: ZoneInfo | None) -> str:
    """An instant written by *pattern* of `strptime`, in *zone* where the pattern has no offset."""
    if not isinstance(value, str):
        raise Unconvertible(f"an instant written as {pattern} is expected")
    try:
        moment = datetime.strptime(value, pattern)  # noqa: DTZ007  # the zone is given beside the pattern
    except ValueError:
        raise Unconvertible(f"an instant written as {pattern} is expected") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    return _instant(lambda: moment)


def day(value: object) -> str:
    """A day as YYYY-MM-DD, or the day (UTC) of an instant as RFC 3339."""
    if isinstance(value, str) and _DATE.fullmatch(value):
        return value
    return rfc3339(value)[:10]


def version(value: object) -> int:
    """A number that grows with an instant as RFC 3339: its milliseconds since 1970."""
    moment = datetime.fromisoformat(rfc3339(value))
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _whole(value: object) -> int:
    if isinstance(value, Decimal) and _is_writable(value) and value == value.to_integral_value():
        return int(value)
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**_LARGEST_EXPONENT:
        return value
    raise Unconvertible("a whole number is expected")


def _number(value: object) -> Decimal:
    if isinstance(value, Decimal) and _is_writable(value):
        return value
    if isinstance(value, str) and _PLAIN_DECIMAL.fullmatch(value):
        return Decimal(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**_LARGEST_EXPONENT:
        return Decimal(value)
    raise Unconvertible("a decimal number is expected")


def _is_writable(value: Decimal) -> bool:
    # 1e999999999 is a short number and a very long text.
    exponent = value.as_tuple().exponent
    return (
        isinstance(exponent, int) and abs(exponent) < _LARGEST_EXPONENT and len(value.as_tuple().digits) < _MOST_DIGITS
    )


def _written(number: Decimal) -> str:
    written = f"{number:f}"
    sign, digits = ("-", written[1:]) if written.startswith("-") else ("", written)
    whole, point, fraction = digits.partition(".")
    unsigned = (whole.lstrip("0") or "0") + point + fraction
    return unsigned if not unsigned.strip("0.") else sign + unsigned


def _since_epoch(value: object, exponent: int) -> str:
    microseconds = int(_number(value).scaleb(6 + exponent, _EXACT))
    return _instant(lambda: _EPOCH + timedelta(microseconds=microseconds))


def _instant(make: Callable[[], datetime]) -> str:
    try:
        moment = make().astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unconvertible("an instant of the years 1 to 9999 is expected") from None
    return f"{moment.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
