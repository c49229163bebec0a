"""
The operator's side of a played programme, as files beside its events.

What customers were worth, what placements cost, exchange rates, which months are closed, and the platform's own report,
with the columns of docs/inputs.md and docs/reconcile.md. Rows are written as they come up: no programme is too large.
"""

import csv
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self

from simulator.activity import ActivityDay
from simulator.cast import Member, Span
from simulator.wire import WORTH_OF_ONE_EURO, instant, rounded

_HEADERS = {
    "player_activity": (
        "source_id", "customer_id", "activity_date", "currency", "ggr", "bonus_cost", "chargebacks", "payment_fees",
        "gaming_tax", "other_deductions", "deposits", "withdrawals", "lots", "is_active",
    ),
    "marketing_spend": ("spend_date", "source_id", "partner_id", "campaign_id", "amount", "currency"),
    "fx_rates": ("rate_date", "base_currency", "quote_currency", "rate"),
    "accounting_periods": ("period_month", "closed_at"),
    "report": ("kind", "id", "partner", "timestamp", "currency", "amount"),
}  # fmt: skip
INPUTS = ("player_activity", "marketing_spend", "fx_rates", "accounting_periods")
"""Names of the files, without `.csv`, that `hookmart load` takes."""


class BackOffice:
    """
    Writes the files into a directory; used in a `with`, it closes them.

    Attributes:
        source: Whose customers and partners these are, as configured at the receiver.
    """

    def __init__(self, directory: Path, source: str, reporting_currency: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._source = source
        self._reporting_currency = reporting_currency
        self._files = {name: (directory / f"{name}.csv").open("w", encoding="utf-8", newline="") for name in _HEADERS}
        self._writers: dict[str, Any] = {
            name: csv.writer(file, lineterminator="\n") for name, file in self._files.items()
        }
        for name, header in _HEADERS.items():
            self._write(name, header)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()

    def activity(self, row: ActivityDay) -> None:
        parts = [_text(part) for part in row.parts]
        self._write(
            "player_activity",
            (self._source, row.customer_id, row.on, row.currency, *parts, _text(row.deposits), "0", row.lots, "true"),
        )

    def spend(self, on: date, partner_id: str, amount: Decimal, currency: str) -> None:
        self._write("marketing_spend", (on, self._source, partner_id, "", _text(amount), currency))

    def report(self, kind: str, entity_id: str, partner_id: str, at: datetime, currency: str, amount: Decimal) -> None:
        """One line of what the platform itself says."""
        self._write("report", (kind, entity_id, partner_id, instant(at), currency, _text(amount)))

    def calendar(self, rng: Random, span: Span) -> None:
        """Exchange rates of every day, and the months: the one before the programme is closed, the others are open."""
        reporting = WORTH_OF_ONE_EURO.get(self._reporting_currency)
        if reporting is not None:
            drift = {currency: 1.0 for currency in WORTH_OF_ONE_EURO if currency != self._reporting_currency}
            on = span.start.date() - timedelta(days=8)
            while on <= span.until.date():
                for currency, before in drift.items():
                    drift[currency] = before * (1 + rng.gauss(0, 0.003))
                    rate = reporting / WORTH_OF_ONE_EURO[currency] * Decimal(str(round(drift[currency], 6)))
                    self._write("fx_rates", (on, currency, self._reporting_currency, format(round(rate, 8), "f")))
                on += timedelta(days=1)
        first = (span.start.replace(day=1) - timedelta(days=1)).replace(day=1)
        self._write("accounting_periods", (first.date(), instant(first + timedelta(days=40))))
        for month in span.first_of_months():
            self._write("accounting_periods", (month.date(), ""))

    def _write(self, name: str, row: Sequence[object]) -> None:
        self._writers[name].writerow(row)


def close_months(directory: Path, at: datetime) -> None:
    """Close, at *at*, the months in *directory* that `Span.closed_months` names: what comes from then on is late."""
    path = _periods_in(directory)
    with path.open(encoding="utf-8", newline="") as file:
        header, before, *months, last = csv.reader(file)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(
            [header, before, *([month, instant(at)] for month, _ in months), last]
        )


def months_closed_at(directory: Path) -> datetime | None:
    """Return when the months in *directory* were closed; None while they are open, or are not there."""
    path = _periods_in(directory)
    if not path.is_file():
        return None
    with path.open(encoding="utf-8", newline="") as file:
        header, *periods = csv.reader(file)
    months = periods[1:] if tuple(header) == _HEADERS["accounting_periods"] else []
    return datetime.fromisoformat(months[0][1]) if months and months[0][1] else None


def _periods_in(directory: Path) -> Path:
    return directory / "accounting_periods.csv"


def placement_cost(rng: Random, member: Member, events: int) -> Decimal:
    """What the operator pays for a day of a partner's paid placements, in a programme of so many *events*."""
    currency = member.profile.currency
    euros = Decimal(rng.randint(400, 2500)).scaleb(-2) * member.profile.weight * events / 50_000
    return rounded(euros * WORTH_OF_ONE_EURO[currency], currency)


def _text(amount: Decimal) -> str:
    return format(amount, "f")
