"""The scalar types: what is read, what is refused, and that the loader's engine reads the same."""

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from models.scalars import Date, DecimalText, Identifier, Integer, Text, Timestamp

STRICT = ConfigDict(strict=True)
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

timestamp: TypeAdapter[dt.datetime] = TypeAdapter(Timestamp)
date: TypeAdapter[dt.date] = TypeAdapter(Date)
decimal_text: TypeAdapter[Decimal] = TypeAdapter(DecimalText)


class Plain(BaseModel):
    """One field of each scalar that JSON has itself."""

    model_config = STRICT

    identifier: Identifier | None = None
    text: Text | None = None
    integer: Integer | None = None
    boolean: bool | None = None


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the loader's engine, in a session that is not in UTC."""
    connection = duckdb.connect()
    connection.execute("set timezone = 'Asia/Kathmandu'")
    yield connection
    connection.close()


def in_engine(engine: duckdb.DuckDBPyConnection, expression: str, text: str) -> Any:
    """Evaluate *expression* over *text*."""
    row = engine.execute(f"select {expression}", [text]).fetchone()
    assert row is not None
    return row[0]


def microseconds(moment: dt.datetime) -> int:
    """Count the microseconds since 1970, exactly."""
    return (moment - EPOCH) // dt.timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-05-02T18:31:05Z", dt.datetime(2026, 5, 2, 18, 31, 5, 0, dt.UTC)),
        ("2026-05-02T18:31:05.123456Z", dt.datetime(2026, 5, 2, 18, 31, 5, 123456, dt.UTC)),
        ("2026-05-02t18:31:05.1z", dt.datetime(2026, 5, 2, 18, 31, 5, 100000, dt.UTC)),
        ("2026-05-02T18:31:05.123456999Z", dt.datetime(2026, 5, 2, 18, 31, 5, 123456, dt.UTC)),
        ("1969-12-31T23:59:59.999999999Z", dt.datetime(1969, 12, 31, 23, 59, 59, 999999, dt.UTC)),
        ("2026-05-02T00:30:00+05:45", dt.datetime(2026, 5, 1, 18, 45, 0, 0, dt.UTC)),
        ("2026-05-02T00:30:00-23:59", dt.datetime(2026, 5, 3, 0, 29, 0, 0, dt.UTC)),
        ("2026-05-02T00:30:00-00:00", dt.datetime(2026, 5, 2, 0, 30, 0, 0, dt.UTC)),
        ("0001-01-01T00:00:00Z", dt.datetime(1, 1, 1, 0, 0, 0, 0, dt.UTC)),
        ("9999-12-31T23:59:59.9999999Z", dt.datetime(9999, 12, 31, 23, 59, 59, 999999, dt.UTC)),
    ],
)
def test_an_instant_with_an_offset_is_read_to_utc(text: str, moment: dt.datetime) -> None:
    """Whatever the offset, and however many decimals, an instant comes out in UTC, cut to the microsecond."""
    read = timestamp.validate_python(text)

    assert read == moment
    assert read.utcoffset() == dt.timedelta(0)


@pytest.mark.parametrize(
    "text",
    [
        "2026-05-02T18:31:05",
        "2026-05-02 18:31:05Z",
        "2026-05-02",
        "2026-05-02T18:31Z",
        "2026-05-02T18:31:05.Z",
        "2026-05-02T18:31:05.1234567890Z",
        "2026-05-02T18:31:05,5Z",
        "2026-05-02T18:31:05+0200",
        "2026-05-02T18:31:05+02",
        "2026-05-02T18:31:05+24:00",
        "2026-05-02T24:00:00Z",
        "2026-05-02T23:59:60Z",
        "2026-02-30T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+05:00",
        "9999-12-31T23:59:59-00:01",
        "12026-05-02T18:31:05Z",
        "2026-05-02T18:31:05Z\n",
        " 2026-05-02T18:31:05Z",
        "\u0662\u0660\u0662\u0666-05-02T18:31:05Z",
        "1777746665",
        "",
        1777746665,
        1777746665.5,
        True,
        None,
        dt.datetime(2026, 5, 2, tzinfo=dt.UTC),
    ],
)
def test_what_is_no_rfc_3339_instant_is_refused(text: object) -> None:
    """Without an offset, as a Unix number, or off the calendar: an instant that could be misread is not read."""
    with pytest.raises(ValidationError):
        timestamp.validate_python(text)


def fractions(most_digits: int) -> st.SearchStrategy[str]:
    """Write nothing, or a point and some digits."""
    return st.just("") | st.text("0123456789", min_size=1, max_size=most_digits).map(".{}".format)


@st.composite
def instants(draw: st.DrawFn) -> str:
    """Write an instant in any of the ways that RFC 3339 allows."""
    moment = draw(st.datetimes())
    day, time = f"{moment.year:04d}-{moment:%m-%d}", f"{moment:%H:%M:%S}"
    fraction = draw(fractions(most_digits=9))
    offset = draw(st.sampled_from("+-")) + f"{draw(st.times()):%H:%M}"
    return day + draw(st.sampled_from("Tt")) + time + fraction + draw(st.sampled_from(["Z", "z", offset]))


@settings(deadline=None)
@given(text=instants())
def test_the_loader_reads_an_instant_to_the_same_microsecond(engine: duckdb.DuckDBPyConnection, text: str) -> None:
    """Whatever instant is read here, the loader's engine reads to the same microsecond, in whatever zone it sits."""
    try:
        read = timestamp.validate_python(text)
    except ValidationError:
        assert text.startswith(("0001-01-01", "9999-12-31"))
    else:
        assert in_engine(engine, "epoch_us(try_cast(upper(?) as timestamptz))", text) == microseconds(read)


@pytest.mark.parametrize("text", ["2026-05-02", "0001-01-01", "9999-12-31", "2024-02-29"])
def test_a_day_is_read(engine: duckdb.DuckDBPyConnection, text: str) -> None:
    """A day of the calendar is read, here and by the loader's engine."""
    assert date.validate_python(text) == dt.date.fromisoformat(text)
    assert in_engine(engine, "try_cast(? as date)", text) == dt.date.fromisoformat(text)


@pytest.mark.parametrize(
    "text",
    [
        "2026-5-2",
        "20260502",
        "2026-02-29",
        "0000-01-01",
        "2026-05-02T00:00:00",
        "2026-W18-6",
        "2026-05-02\n",
        "",
        20575,
    ],
)
def test_what_is_no_day_is_refused(text: object) -> None:
    """A day has one spelling; an instant, a number or another spelling is none."""
    with pytest.raises(ValidationError):
        date.validate_python(text)


@settings(deadline=None)
@given(
    text=st.builds("{}{}{}".format, st.sampled_from(["", "-"]), st.integers(0, 10**20 - 1), fractions(most_digits=18))
)
def test_the_loader_reads_a_decimal_without_rounding(engine: duckdb.DuckDBPyConnection, text: str) -> None:
    """Whatever decimal is read here fits the loader's column digit for digit."""
    read = decimal_text.validate_python(text)

    assert read == Decimal(text)
    assert in_engine(engine, "try_cast(? as decimal(38, 18))", text) == read


@pytest.mark.parametrize(
    "text",
    [
        "1." + "1" * 19,
        "1" * 21,
        "+1",
        "01",
        ".5",
        "5.",
        "1e3",
        "1,5",
        "NaN",
        "Infinity",
        "--1",
        "1 ",
        "\u0663",
        "",
        1,
        1.5,
        None,
    ],
)
def test_what_is_no_decimal_text_is_refused(text: object) -> None:
    """A JSON number, an exponent, a plus sign, or more digits than the column holds is no decimal."""
    with pytest.raises(ValidationError):
        decimal_text.validate_python(text)


@pytest.mark.parametrize("identifier", ["a", "x" * 128, "é" * 128, " ", "0"])
def test_an_identifier_of_1_to_128_characters_is_read_as_sent(identifier: str) -> None:
    """An identifier is opaque: characters are counted, nothing is trimmed."""
    assert Plain(identifier=identifier).identifier == identifier


@pytest.mark.parametrize("integer", [0, -1, 2**63 - 1, -(2**63)])
def test_a_whole_number_of_64_bits_is_read(integer: int) -> None:
    """The bounds of 64 bits are inside."""
    assert Plain(integer=integer).integer == integer


@pytest.mark.parametrize(
    "fields",
    [
        {"identifier": ""},
        {"identifier": "x" * 129},
        {"identifier": 7},
        {"text": 7},
        {"text": True},
        {"text": ["a"]},
        {"integer": "7"},
        {"integer": 7.0},
        {"integer": True},
        {"integer": 2**63},
        {"integer": -(2**63) - 1},
        {"boolean": "true"},
        {"boolean": 1},
    ],
)
def test_a_value_of_another_json_type_is_refused(fields: dict[str, Any]) -> None:
    """No scalar is guessed from another JSON type: the warehouse would guess differently."""
    with pytest.raises(ValidationError):
        Plain.model_validate(fields)
