"""Values as platforms write them to values of the contract, exactly."""

from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings import conversions
from mappings.conversions import Unconvertible
from mappings.personal import read_exactly, text_without_addresses, without_addresses, written_exactly
from models.currencies import CURRENCY_EXPONENTS

AMOUNTS = st.integers(-(10**15), 10**15)
ANYTHING = st.none() | st.booleans() | st.integers() | st.text() | st.decimals() | st.lists(st.integers(), max_size=2)


@settings(deadline=None)
@given(units=AMOUNTS, currency=st.sampled_from(sorted(CURRENCY_EXPONENTS)), is_text=st.booleans())
def test_minor_units_are_the_amount_exactly(units: int, currency: str, *, is_text: bool) -> None:
    """Times ten to the currency's exponent the amount is what was sent, and it is written plainly."""
    written = conversions.minor_units(str(units) if is_text else units, currency)
    exponent = CURRENCY_EXPONENTS[currency]
    assert Decimal(written).scaleb(exponent) == units
    assert len(written.partition(".")[2]) == exponent
    assert "E" not in written.upper()


@pytest.mark.parametrize(
    ("units", "currency", "amount"),
    [
        (12345, "EUR", "123.45"), (12345, "JPY", "12345"), (12345, "KWD", "12.345"), ("-5", "USD", "-0.05"),
        (0, "EUR", "0.00"), (Decimal("500.00"), "EUR", "5.00"), (12345, "CLF", "1.2345"),
    ],
)  # fmt: skip
def test_minor_units_by_currency(units: Any, currency: str, amount: str) -> None:
    """Yen have no smaller unit, dinars a thousand."""
    assert conversions.minor_units(units, currency) == amount


@settings(deadline=None)
@given(value=st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=-(10**20), max_value=10**20))
def test_a_decimal_keeps_every_digit(value: Decimal) -> None:
    """As a JSON number or as text, eight decimals come through, and stay when taken off instead."""
    for sent in (value, f"{value:f}"):
        written = conversions.amount(sent)
        assert Decimal(written) == value
        assert Decimal(conversions.negated(written)) == -value
        assert conversions.negated(conversions.negated(written)) == written


@pytest.mark.parametrize(
    ("value", "amount"),
    [("007.50", "7.50"), (Decimal("1.5E+2"), "150"), ("-0.00", "0.00"), (7, "7"), ("1.2000000000", "1.20000000")],
)
def test_an_amount_is_written_as_the_contract_has_it(value: Any, amount: str) -> None:
    """No leading zero, no exponent, no minus before nothing."""
    assert conversions.amount(value) == amount


@pytest.mark.parametrize("value", ["1.123456789", "1e3", "1,000.00", "", " 1", "+1", True, None, [], Decimal("1e-40")])
def test_an_amount_is_never_guessed(value: Any) -> None:
    """Nine decimals are not rounded, and what is no plain decimal is none."""
    with pytest.raises(Unconvertible):
        conversions.amount(value)


@pytest.mark.parametrize("value", [Decimal("1.5"), "1.0", 1.5, True, "", "x", None])
def test_minor_units_are_whole(value: Any) -> None:
    """Half a cent is no cent."""
    with pytest.raises(Unconvertible):
        conversions.minor_units(value, "EUR")


@pytest.mark.parametrize(
    ("convert", "value", "instant"),
    [
        (conversions.rfc3339, "2026-05-03T10:00:00Z", "2026-05-03T10:00:00.000000Z"),
        (conversions.rfc3339, "2026-05-03T12:00:00.1234567+02:00", "2026-05-03T10:00:00.123456Z"),
        (conversions.rfc3339, "2026-05-03 10:00:00 +0000".replace(" +", "+"), "2026-05-03T10:00:00.000000Z"),
        (conversions.rfc3339, "2026-05-03T10:00+00", "2026-05-03T10:00:00.000000Z"),
        (conversions.unix_seconds, 1777802400, "2026-05-03T10:00:00.000000Z"),
        (conversions.unix_seconds, "1777802400", "2026-05-03T10:00:00.000000Z"),
        (conversions.unix_seconds, Decimal("1777802400.25"), "2026-05-03T10:00:00.250000Z"),
        (conversions.unix_milliseconds, 1777802400123, "2026-05-03T10:00:00.123000Z"),
    ],
)
def test_an_instant_comes_out_in_utc(convert: Any, value: Any, instant: str) -> None:
    """However it is written, it is the contract's spelling of the same instant."""
    assert convert(value) == instant


@settings(deadline=None)
@given(moment=st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)))
def test_milliseconds_and_text_agree(moment: datetime) -> None:
    """An instant sent as a number of milliseconds is the one sent as text, and so is its version."""
    milliseconds = conversions.version(moment.isoformat())
    by_number = conversions.unix_milliseconds(milliseconds)
    assert by_number[:23] == conversions.rfc3339(moment.isoformat())[:23]


def test_a_platforms_own_format_has_its_zone() -> None:
    """A time without an offset is one of the zone that the mapping names."""
    written = conversions.by_format("03.05.2026 12:00", "%d.%m.%Y %H:%M", ZoneInfo("Europe/Malta"))
    assert written == "2026-05-03T10:00:00.000000Z"


@pytest.mark.parametrize("value", ["2026-05-03", "2026-05-03T10:00:00", "2026-13-03T10:00:00Z", "now", 5, None])
def test_an_instant_is_never_guessed(value: Any) -> None:
    """Without an offset it might be any of twenty-six."""
    with pytest.raises(Unconvertible):
        conversions.rfc3339(value)


@settings(deadline=None)
@given(value=ANYTHING)
def test_whatever_is_sent_is_converted_or_refused(value: Any) -> None:
    """No value makes a conversion fail in any other way."""
    for convert in (
        conversions.text, conversions.boolean, conversions.integer, conversions.decimal, conversions.amount,
        conversions.currency, conversions.rfc3339, conversions.unix_seconds, conversions.unix_milliseconds,
        conversions.day, conversions.version, lambda each: conversions.minor_units(each, "KWD"),
        lambda each: conversions.by_format(each, "%Y", None if value is None else ZoneInfo("UTC")),
    ):  # fmt: skip
        with suppress(Unconvertible):
            convert(value)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("bob@example.com", None),
        (" Bob.O'Hara+x@mail.example.co.uk ", None),
        ("write to bob@example.com, please", "write to removed, please"),
        ("https://x.example/?mail=bob%40example.com&a=1", "https://x.example/?mail=removed&a=1"),
        ("jörg@bücher.example", None),
        ("@handle", "@handle"),
        ("a @ b", "a @ b"),
    ],
)
def test_an_address_is_found_wherever_it_stands(text: str, left: str | None) -> None:
    """A text that is one goes, or is a hash with a key; one that holds one is left without it."""
    assert without_addresses({"value": [text]}, None) == {"value": [left]}
    keyed = without_addresses(text, b"k" * 32)
    assert keyed == left if left is not None else keyed.startswith("email:")


def test_looking_for_addresses_takes_no_longer_than_the_text_is_long() -> None:
    """A megabyte that almost is one is gone through once: this would not come back otherwise."""
    assert text_without_addresses("a" * 1_000_000) == "a" * 1_000_000
    assert text_without_addresses("a@" * 500_000) == "a@" * 500_000


def test_numbers_are_written_back_digit_by_digit() -> None:
    """What a float would round, and what no float holds, comes out as it came in."""
    body = b'{"a":19.990,"b":12345678901234567890.123456789,"c":[1e400,-0.0],"d":"x\\u00e9","e":null,"f":true}'
    assert written_exactly(read_exactly(body)).encode() == body
