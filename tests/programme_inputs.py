"""What the optional inputs say beside a random programme: exchange rates with gaps, and months that were closed."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.oracle_rates import Quotes

_BEGIN, _DAYS = date(2025, 12, 20), 380


@dataclass(frozen=True, slots=True)
class ProgrammeInputs:
    """
    Rates and closed months, as the oracle takes them.

    Attributes:
        quotes: Dollars are quoted both ways round, yen the other way round, bitcoins hardly ever, all with gaps.
        closed_months: First day of a month to the naive UTC time it was closed; some months stay open.
    """

    quotes: Quotes
    closed_months: Mapping[date, datetime]

    def rows(self) -> dict[str, Sequence[Mapping[str, Any]]]:
        """The same as rows of the inputs."""
        return {
            "fx_rates": [
                {"rate_date": day, "base_currency": base, "quote_currency": quote, "rate": rate}
                for (day, base, quote), rate in self.quotes.items()
            ],
            "accounting_periods": [
                {"period_month": date(2026, month, 1), "closed_at": self.closed_months.get(date(2026, month, 1))}
                for month in range(1, 13)
            ],
        }


def programme_inputs(seed: int) -> ProgrammeInputs:
    """Rates and closed months for a year of programmes, which begin in January 2026."""
    rng = random.Random(f"inputs/{seed}")
    quotes: dict[tuple[date, str, str], Decimal] = {}
    for base, quote, share, middle in (
        ("USD", "EUR", 0.4, "0.92"),
        ("EUR", "USD", 0.4, "1.0871"),
        ("EUR", "JPY", 0.25, "163.4"),
        ("BTC", "EUR", 0.03, "61234.56789"),
        ("USD", "JPY", 0.5, "150"),
    ):
        for age in range(_DAYS):
            if rng.random() < share:
                change = Decimal(rng.randint(-500, 500)) / 10_000
                quotes[_BEGIN + timedelta(days=age), base, quote] = Decimal(middle) * (1 + change)
    closed = {
        date(2026, month, 1): datetime(2026, month, 28) + timedelta(days=rng.choice((5, 12, 60)))
        for month in range(1, 13)
        if rng.random() < 0.7
    }
    return ProgrammeInputs(quotes, closed)
