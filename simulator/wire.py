"""How the played platform writes values into JSON: money as strings in its currency's own decimals, instants in UTC."""

from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import TypeAlias

from models.currencies import CURRENCY_EXPONENTS

JsonObject: TypeAlias = dict[str, object]

WORTH_OF_ONE_EURO = {
    "EUR": Decimal(1),
    "USD": Decimal("1.1"),
    "GBP": Decimal("0.85"),
    "JPY": Decimal(160),
    "KWD": Decimal("0.34"),
}
"""The currencies of the played programmes, and about what a euro buys of each."""

_SMALLEST_UNIT = {currency: Decimal(1).scaleb(-CURRENCY_EXPONENTS[currency]) for currency in WORTH_OF_ONE_EURO}


def rounded(amount: Decimal, currency: str) -> Decimal:
    """Round *amount* to the smallest unit of *currency*, half away from zero; never a negative zero."""
    # Adding nothing turns -0.00 into 0.00.
    return amount.quantize(_SMALLEST_UNIT[currency], ROUND_HALF_UP) + Decimal(0)


def share(amount: Decimal, percent: Decimal, currency: str) -> Decimal:
    """*percent* of *amount*, in whole smallest units of *currency*."""
    return rounded(amount * percent / Decimal(100), currency)


def money(amount: Decimal, currency: str) -> JsonObject:
    return {"amount": format(rounded(amount, currency), "f"), "currency": currency}


def price(euros: Decimal, currency: str) -> Decimal:
    """What a price list would say in *currency* for something worth about *euros*: round figures."""
    step = Decimal(100) if currency == "JPY" else Decimal(1)
    local = euros * WORTH_OF_ONE_EURO[currency]
    return rounded((local / step).quantize(Decimal(1), ROUND_HALF_UP) * step, currency)


def instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def day(on: date) -> str:
    return on.isoformat()[:10]


def actor(kind: str, name: str) -> JsonObject:
    return {"type": kind, "id": name}
