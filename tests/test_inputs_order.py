"""Rows of an input in whatever files and order: the table is the same."""

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.input_files import FORMATS, NOON, InputLine, shape, write_file

Rows = list[tuple[int, Decimal]]

RATES = st.decimals(min_value="0.0001", max_value=10_000, places=4)
FILES = st.lists(
    st.tuples(
        st.lists(st.tuples(st.integers(0, 5), RATES), min_size=1, max_size=6),
        st.integers(0, 2),
        st.sampled_from(FORMATS),
        st.booleans(),
    ),
    min_size=1,
    max_size=5,
)
"""Rows (which day, which rate), time of modification, format, and whether the file comes before the first load."""


def assert_the_latest_of_each_day_is_there(files: list[tuple[Rows, int, str, bool]]) -> None:
    expected: dict[date, Decimal] = {}
    with TemporaryDirectory() as directory:
        root = Path(directory)
        line = InputLine(root)
        order = sorted(range(len(files)), key=lambda at: (files[at][1], f"{at}.{files[at][2]}"))
        for at in order:
            expected |= {_day(day): rate for day, rate in files[at][0]}
        for is_first in (True, False):
            for at, (rows, age, extension, comes_first) in enumerate(files):
                if comes_first is is_first:
                    cells = [
                        {"rate_date": _day(day), "base_currency": "EUR", "quote_currency": "USD", "rate": rate}
                        for day, rate in rows
                    ]
                    write_file(root / "in" / f"{at}.{extension}", cells, NOON + age)
            line.load(shape("fx_rates"), root / "in" / "*")
        assert {row["rate_date"]: row["rate"] for row in line.table("fx_rates")} == expected


def _day(number: int) -> date:
    return date(2026, 7, 1) + timedelta(days=number)


@settings(max_examples=3, deadline=None)
@given(FILES)
def test_the_latest_row_of_each_key_stays_whatever_comes_first(files: list[tuple[Rows, int, str, bool]]) -> None:
    """By time of modification, then name, then row, and never by when a file was loaded."""
    assert_the_latest_of_each_day_is_there(files)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(FILES)
def test_the_latest_row_of_each_key_stays_in_many_cases(files: list[tuple[Rows, int, str, bool]]) -> None:
    """The same, oftener."""
    assert_the_latest_of_each_day_is_there(files)
