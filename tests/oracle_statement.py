"""The oracle's money tables: the ledger dated in the reporting timezone, and the statement summed from it."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal

from tests.oracle_events import Row, local_date
from tests.oracle_ledger import ADJUSTED_TYPES, EARNED_TYPES, IN_TRANSIT, PAYABLE, PENDING, Entry
from tests.oracle_rates import Rates, null_or_sum

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
    "adjustment_type",
    "amount_rc",
    "fx_rate",
    "fx_rate_date",
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
    "opening_rc",
    "earned_rc",
    "adjusted_rc",
    "transferred_rc",
    "paid_rc",
    "returned_rc",
    "closing_rc",
    "pending_rc",
    "payable_rc",
    "in_transit_rc",
    "prior_period_rc",
    "fx_revaluation_rc",
)


def ledger_rows(entries: list[Entry], timezone: str, closed_months: ClosedMonths, rates: Rates) -> list[Row]:
    """`commission_ledger`."""
    rows = []
    for entry in entries:
        effective_date = local_date(entry.effective_at, timezone)
        booking_date = _booking_date(effective_date, entry.event.received_at, closed_months)
        rate = rates.on(effective_date, entry.currency)
        is_adjustment = entry.entry_type in ("adjusted", "transferred")
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
            entry.event.at("adjustment.type") if is_adjustment else None,
            None if rate is None else rate.of(entry.amount),
            None if rate is None else rate.value,
            None if rate is None else rate.quoted_on,
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


def statement_rows(ledger: list[Row], rates: Rates) -> list[Row]:
    """`commission_statement_monthly` from the rows of the ledger."""
    if not ledger:
        return []
    last_day = max(row["booking_date"] for row in ledger)
    accounts: dict[tuple[str, str, str], list[Row]] = {}
    for row in ledger:
        accounts.setdefault((row["source_id"], row["partner_id"], row["currency"]), []).append(row)
    statement = []
    for (source_id, partner_id, currency), moves in accounts.items():
        balances = {PENDING: Decimal(0), PAYABLE: Decimal(0), IN_TRANSIT: Decimal(0)}
        month = min(_first_of_month(row["booking_date"]) for row in moves)
        closing_rc: Decimal | None = None
        is_first = True
        while month <= last_day:
            end = _next_month(month) - timedelta(days=1)
            rate = rates.between(min(end, last_day), end, currency)
            zero_rc = None if rate is None else Decimal(0)
            booked = [row for row in moves if _first_of_month(row["booking_date"]) == month]
            opening = sum(balances.values(), Decimal(0))
            for row in booked:
                balances[row["bucket"]] += row["amount"]
            kinds = {
                "earned": [row for row in booked if row["entry_type"] in EARNED_TYPES],
                "adjusted": [row for row in booked if row["entry_type"] in ADJUSTED_TYPES],
                "transferred": [row for row in booked if row["entry_type"] == "transferred"],
                "paid": [row for row in booked if row["entry_type"] == "paid"],
                "returned": [row for row in booked if row["entry_type"] == "returned"],
            }
            late = [row for rows in kinds.values() for row in rows if row["is_prior_period"]]
            flows = {kind: sum((row["amount"] for row in rows), Decimal(0)) for kind, rows in kinds.items()}
            flows_rc = {
                kind: null_or_sum([row["amount_rc"] for row in rows]) if rows else zero_rc
                for kind, rows in {**kinds, "late": late}.items()
            }
            buckets_rc = [None if rate is None else rate.of(balances[each]) for each in (PENDING, PAYABLE, IN_TRANSIT)]
            opening_rc = zero_rc if is_first else closing_rc
            closing_rc = null_or_sum(buckets_rc)
            paid_rc = flows_rc["paid"]
            explained = null_or_sum([opening_rc, *(flows_rc[kind] for kind in kinds)])
            values = (
                source_id,
                month,
                partner_id,
                currency,
                opening,
                flows["earned"],
                flows["adjusted"],
                flows["transferred"],
                -flows["paid"],
                flows["returned"],
                sum(balances.values(), Decimal(0)),
                balances[PENDING],
                balances[PAYABLE],
                balances[IN_TRANSIT],
                sum((row["amount"] for row in late), Decimal(0)),
                opening_rc,
                flows_rc["earned"],
                flows_rc["adjusted"],
                flows_rc["transferred"],
                None if paid_rc is None else -paid_rc,
                flows_rc["returned"],
                closing_rc,
                *buckets_rc,
                flows_rc["late"],
                None if closing_rc is None or explained is None else closing_rc - explained,
            )
            statement.append(dict(zip(STATEMENT_COLUMNS, values, strict=True)))
            month, is_first = _next_month(month), False
    return statement
