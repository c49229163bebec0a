"""The oracle's exchange rates: found day by day, backwards, and applied by Python's own decimals."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext

Quotes = Mapping[tuple[date, str, str], Decimal]
"""Day, base and quote currency to units of the quote currency for one of the base."""

OLDEST = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Rate:
    """Units of the reporting currency for one of another, and the day it was quoted for."""

    value: Decimal
    quoted_on: date

    def of(self, amount: Decimal) -> Decimal:
        """*amount* in the reporting currency, to eight places."""
        return _rounded(amount * self.value, 8)


@dataclass(frozen=True, slots=True)
class Rates:
    """What is known of the reporting currency's rates."""

    quotes: Quotes = field(default_factory=dict)
    reporting_currency: str = "EUR"

    def on(self, day: date, currency: str) -> Rate | None:
        """That of the day, else of the newest day before it that is not too old; the straight quote first."""
        if currency == self.reporting_currency:
            return Rate(Decimal(1), day)
        for age in range(OLDEST.days + 1):
            quoted_on = day - timedelta(days=age)
            straight = self.quotes.get((quoted_on, currency, self.reporting_currency))
            if straight is not None:
                return Rate(straight, quoted_on)
            turned = self.quotes.get((quoted_on, self.reporting_currency, currency))
            if turned is not None:
                with localcontext() as context:
                    context.prec = 80
                    return Rate(_rounded(1 / turned, 18), quoted_on)
        return None

    def between(self, first: date, last: date, currency: str) -> Rate | None:
        """The newest that serves on any of these days."""
        day = last
        while day >= first:
            found = self.on(day, currency)
            if found is not None:
                return found
            day -= timedelta(days=1)
        return None


def _rounded(value: Decimal, places: int) -> Decimal:
    with localcontext() as context:
        context.prec = 80
        return value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)


def null_or_sum(amounts: list[Decimal | None]) -> Decimal | None:
    """The sum; None where one of them is."""
    known = [amount for amount in amounts if amount is not None]
    return None if len(known) < len(amounts) else sum(known, Decimal(0))
