"""Money: exact, in a known currency, or refused."""

from collections.abc import Iterator
from decimal import Decimal

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from models.currencies import CURRENCY_EXPONENTS
from models.money import Money

amounts = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "-"]),
    st.integers(0, 10**20 - 1),
    st.just("") | st.text("0123456789", min_size=1, max_size=8).map(".{}".format),
)


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the loader's engine."""
    connection = duckdb.connect()
    yield connection
    connection.close()


@settings(deadline=None)
@given(amount=amounts)
def test_an_amount_round_trips_exactly(amount: str) -> None:
    """An amount comes out with every digit it came in with."""
    read = Money.model_validate({"amount": amount, "currency": "EUR"})

    assert format(read.amount, "f") == amount


@settings(deadline=None)
@given(amount=amounts)
def test_the_loader_reads_an_amount_without_rounding(engine: duckdb.DuckDBPyConnection, amount: str) -> None:
    """Whatever amount is read here fits the loader's column digit for digit."""
    read = Money.model_validate({"amount": amount, "currency": "EUR"})

    assert engine.execute("select try_cast(? as decimal(28, 8))", [amount]).fetchone() == (read.amount,)


@pytest.mark.parametrize("amount", ["0", "-0", "0.00000001", "-200.00", "9" * 20, "-" + "9" * 20 + "." + "9" * 8])
def test_the_bounds_of_an_amount_are_inside(amount: str) -> None:
    """Twenty digits before the point and eight after it are read, of either sign."""
    assert Money.model_validate({"amount": amount, "currency": "EUR"}).amount == Decimal(amount)


@pytest.mark.parametrize(
    "amount",
    [
        "0.123456789",
        "1" * 21,
        "+1.00",
        "01.00",
        "-01",
        "00",
        ".50",
        "5.",
        "",
        "-",
        "1e2",
        "1,000.00",
        "1_000",
        "1 000",
        " 1",
        "1\n",
        "\u0661\u0662",
        "NaN",
        "Infinity",
        "0x1F",
        200,
        200.5,
        True,
        None,
        ["1.00"],
        Decimal("1.00"),
    ],
)
def test_an_amount_that_is_not_exact_text_is_refused(amount: object) -> None:
    """A JSON number, a ninth decimal, or any spelling but the one is refused, never rounded or mended."""
    with pytest.raises(ValidationError):
        Money.model_validate({"amount": amount, "currency": "EUR"})


@pytest.mark.parametrize("currency", ["eur", "Eur", "EUR"])
def test_a_currency_in_small_letters_is_read_as_capitals(currency: str) -> None:
    """Platforms spell one currency in two ways; it is one currency."""
    assert Money.model_validate({"amount": "1", "currency": currency}).currency == "EUR"


@pytest.mark.parametrize("currency", sorted(CURRENCY_EXPONENTS))
def test_each_listed_currency_is_read(currency: str) -> None:
    """Every code of the table is one that money may be in, in capitals and in small letters."""
    assert Money.model_validate({"amount": "1", "currency": currency.lower()}).currency == currency


@pytest.mark.parametrize(
    "currency", ["XXX", "XTS", "ZZZ", "EURO", "€", "E", "", " EUR", "EUR\n", "\u0131nr", "\u212arw", 978, None]
)
def test_an_unknown_currency_is_refused_without_being_repeated(currency: object) -> None:
    """A code that is not in the table is refused, and the message neither repeats it nor recites the table."""
    with pytest.raises(ValidationError) as refusal:
        Money.model_validate({"amount": "1", "currency": currency})

    message = refusal.value.errors()[0]["msg"]
    assert "USD" not in message
    assert "ZZZ" not in message


@pytest.mark.parametrize("money", [{"amount": "1"}, {"currency": "EUR"}, {}, "1 EUR", ["1", "EUR"], "1.00"])
def test_money_without_its_amount_or_its_currency_is_refused(money: object) -> None:
    """An amount means nothing without its currency."""
    with pytest.raises(ValidationError):
        Money.model_validate(money)


@pytest.mark.parametrize(
    ("currency", "exponent"),
    [
        ("EUR", 2),
        ("USD", 2),
        ("JPY", 0),
        ("KRW", 0),
        ("ISK", 0),
        ("KWD", 3),
        ("BHD", 3),
        ("CLF", 4),
        ("USDT", 6),
        ("BTC", 8),
    ],
)
def test_the_table_knows_how_many_decimals_a_minor_unit_has(currency: str, exponent: int) -> None:
    """Minor units are not always hundredths."""
    assert CURRENCY_EXPONENTS[currency] == exponent


def test_each_currency_has_a_plausible_code_and_exponent() -> None:
    """Every code is of three to five capitals, and its exponent is between 0 and 18."""
    for currency, exponent in CURRENCY_EXPONENTS.items():
        assert currency.isascii()
        assert currency.isupper()
        assert 3 <= len(currency) <= 5
        assert 0 <= exponent <= 18
