"""The oracle's money tables: the ledger dated in the reporting timezone, and the statement summed from it."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from tests.oracle_events import Row
from tests.oracle_ledger import ADJUSTED_TYPES, EARNED_TYPES, IN_TRANSIT, PAYABLE, PENDING, Entry

ClosedMonths = Mapping[date, datetime]

LEDGER_COLUMNS = (
    "source_id",
    "ledger_entry_id",
    "partner_id",
    "currency",
    "entry_type",
    "bucket",
    "amount",
    "effective_at",
    "effective_date",
    "booking_date",
    "is_prior_period",
    "commission_id",
    "adjustment_id",
    "payout_id",
    "source_event_id",
)
STATEMENT_COLUMNS = (
    "source_id",
    "month",
    "partner_id",
    "currency",
    "opening_balance",
    "earned",
    "adjusted",
    "transferred",
    "paid",
    "returned",
    "closing_balance",
    "pending_balance",
    "payable_balance",
    "in_transit_balance",
    "prior_period_amount",
)


def ledger_rows(entries: list[Entry], timezone: str, closed_months: ClosedMonths) -> list[Row]:
    """`commission_ledger`, without the reporting currency."""
    zone = ZoneInfo(timezone)
    rows = []
    for entry in entries:
        effective_date = entry.effective_at.replace(tzinfo=UTC).astimezone(zone).date()
        booking_date = _booking_date(effective_date, entry.event.received_at, closed_months)
        values = (
            entry.source_id,
            f"{entry.event.event_id}:{entry.leg}",
            entry.partner_id,
            entry.currency,
            entry.entry_type,
            entry.bucket,
            entry.amount,
            entry.effective_at,
            effective_date,
            booking_date,
            _first_of_month(booking_date) > _first_of_month(effective_date),
            entry.commission_id,
            entry.adjustment_id,
            entry.payout_id,
            entry.event.event_id,
        )
        rows.append(dict(zip(LEDGER_COLUMNS, values, strict=True)))
    return rows


def _booking_date(effective_date: date, received_at: datetime | None, closed_months: ClosedMonths) -> date:
    def was_closed(month: date) -> bool:
        return received_at is not None and month in closed_months and closed_months[month] <= received_at

    month = _first_of_month(effective_date)
    if not was_closed(month):
        return effective_date
    while was_closed(month):
        month = _next_month(month)
    return month


def _first_of_month(day: date) -> date:
    """The first day of its month."""
    return day.replace(day=1)


def _next_month(month: date) -> date:
    """The first day of the month after."""
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def statement_rows(ledger: list[Row]) -> list[Row]:
    """`commission_statement_monthly` from the rows of the ledger, without the reporting currency."""
    if not ledger:
        return []
    last_month = max(_first_of_month(row["booking_date"]) for row in ledger)
    accounts: dict[tuple[str, str, str], list[Row]] = {}
    for row in ledger:
        accounts.setdefault((row["source_id"], row["partner_id"], row["currency"]), []).append(row)
    statement = []
    for (source_id, partner_id, currency), moves in accounts.items():
        balances = {PENDING: Decimal(0), PAYABLE: Decimal(0), IN_TRANSIT: Decimal(0)}
        month = min(_first_of_month(row["booking_date"]) for row in moves)
        while month <= last_month:
            booked = [row for row in moves if _first_of_month(row["booking_date"]) == month]
            opening = sum(balances.values(), Decimal(0))
            for row in booked:
                balances[row["bucket"]] += row["amount"]
            values = (
                source_id,
                month,
                partner_id,
                currency,
                opening,
                _sum(booked, *EARNED_TYPES),
                _sum(booked, *ADJUSTED_TYPES),
                _sum(booked, "transferred"),
                -_sum(booked, "paid"),
                _sum(booked, "returned"),
                sum(balances.values(), Decimal(0)),
                balances[PENDING],
                balances[PAYABLE],
                balances[IN_TRANSIT],
                sum((row["amount"] for row in booked if row["is_prior_period"]), Decimal(0)),
            )
            statement.append(dict(zip(STATEMENT_COLUMNS, values, strict=True)))
            month = _next_month(month)
    return statement


def _sum(rows: list[Row], *entry_types: str) -> Decimal:
    return sum((row["amount"] for row in rows if row["entry_type"] in entry_types), Decimal(0))
