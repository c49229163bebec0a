"""Texts to typed columns: exact to the last digit, however few of them DuckDB reads fast."""

from datetime import UTC, datetime
from decimal import Decimal
from functools import cache

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.columns import Column, Kind
from pipelines.extraction import money_of, typed, utc_of

LARGEST_MONEY = "99999999999999999999.99999999"
"""The largest that the columns hold."""


def digits(most: int) -> st.SearchStrategy[str]:
    return st.text("0123456789", min_size=1, max_size=most)


def numbers(integer_digits: int, places: int) -> st.SearchStrategy[str]:
    """Numbers as the contract writes them, of any length that a column holds, and somewhat longer ones."""
    whole = digits(integer_digits).map(lambda text: text.lstrip("0") or "0")
    fraction = st.one_of(st.just(""), digits(places).map(lambda text: f".{text}"))
    return st.tuples(st.sampled_from(["", "-"]), whole, fraction).map("".join)


def fits(text: str, integer_digits: int, places: int) -> bool:
    whole, _, fraction = text.lstrip("-").partition(".")
    return len(whole) <= integer_digits and len(fraction) <= places


@cache
def connection() -> duckdb.DuckDBPyConnection:
    opened = duckdb.connect()
    opened.execute("set TimeZone = 'UTC'")
    return opened


def value_of(sql: str, text: str) -> object:
    """What *sql* makes of the text `read`, which is also in the struct `event`."""
    row = connection().execute(f"select {sql} from (select $text as read, {{'read': $text}} as event)", {"text": text})
    return row.fetchall()[0][0]


@settings(deadline=None)
@given(numbers(22, 9))
@example(LARGEST_MONEY)
@example(f"-{LARGEST_MONEY}")
@example("9999999999.99999999")
@example("10000000000.00000001")
@example("-0.00000001")
def test_money_is_exact_whatever_its_length(text: str) -> None:
    assert value_of(money_of("read"), text) == (Decimal(text) if fits(text, 20, 8) else None)


@settings(deadline=None)
@given(numbers(22, 19))
@example("999999999.999999999")
@example("1000000000.000000001")
@example("0.123456789012345678")
@example("99999999999999999999.999999999999999999")
def test_a_rate_is_exact_whatever_its_length(text: str) -> None:
    found = value_of(typed(Column("read", "read", Kind.DECIMAL), "event"), text)
    assert found == (Decimal(text) if fits(text, 20, 18) else None)


@pytest.mark.parametrize("text", ["1e3", "+1", "01", "1.", ".5", " 1", "1,5", "NaN", "Infinity", "", "-"])
def test_what_is_no_money_by_the_contract_is_none(text: str) -> None:
    assert value_of(money_of("read"), text) is None


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-29T01:30:00Z", datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),
        ("2026-03-29t01:30:00.123456z", datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC)),
        ("2026-01-01T00:00:00+14:00", datetime(2025, 12, 31, 10, tzinfo=UTC)),
        ("1969-12-31T23:59:59.999999-00:30", datetime(1970, 1, 1, 0, 29, 59, 999999, tzinfo=UTC)),
        ("infinity", None),
        ("tomorrow", None),
    ],
)
def test_a_moment_is_utc(text: str, moment: datetime | None) -> None:
    assert value_of(utc_of("read"), text) == (None if moment is None else moment.replace(tzinfo=None))
