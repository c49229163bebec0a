"""The oracle's liabilities: how old they are, what they come to by month, and how much of what was earned came back."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.oracle_events import Event, Row, local_date
from tests.oracle_ledger import EARNED_TYPES
from tests.oracle_rates import Rates, null_or_sum

AGING_COLUMNS = (
    "source_id",
    "partner_id",
    "currency",
    "bucket",
    "age_band",
    "amount",
    "amount_rc",
    "items",
    "oldest_date",
    "as_of_date",
)
LIABILITY_COLUMNS = (
    "source_id",
    "currency",
    "month",
    "pending_amount",
    "pending_negative_amount",
    "payable_amount",
    "receivable_amount",
    "in_transit_amount",
    "balance_amount",
    "pending_rc",
    "pending_negative_rc",
    "payable_rc",
    "receivable_rc",
    "in_transit_rc",
    "balance_rc",
    "partners_owed",
    "partners_owing",
)
CLAWBACK_COLUMNS = (
    "source_id",
    "partner_id",
    "currency",
    "earned_month",
    "earned_amount",
    "clawed_back_amount",
    "clawback_rate",
    "commissions",
    "clawed_back_commissions",
)

_BANDS = ((7, "0-7"), (30, "8-30"), (60, "31-60"), (90, "61-90"))


def newest_day(events: list[Event], under_test: frozenset[tuple[str, str]], timezone: str) -> date | None:
    """The day of the newest event of whoever is no test partner."""
    moments = [event.occurred_at for event in events if (event.source_id, event.partner_id) not in under_test]
    return local_date(max(moments), timezone) if moments else None


def aging_rows(ledger: list[Row], as_of: date | None, rates: Rates) -> list[Row]:
    """`commission_liability_aging`: each account's items as a queue, from whose front the other side is taken."""
    accounts: dict[tuple[str, str, str, str], dict[tuple[str, str], list[Row]]] = {}
    for row in ledger:
        account = row["source_id"], row["partner_id"], row["currency"], row["bucket"]
        accounts.setdefault(account, {}).setdefault(_subject(row), []).append(row)
    rows = []
    for account, subjects in accounts.items():
        assert as_of is not None
        bands: dict[str, list[tuple[date, Decimal]]] = {}
        for since, amount in _open_items(subjects):
            bands.setdefault(_band((as_of - since) // timedelta(days=1)), []).append((since, amount))
        rate = rates.on(as_of, account[2])
        for band, items in bands.items():
            amount = sum((amount for _, amount in items), Decimal(0))
            columns = (
                *account,
                band,
                amount,
                None if rate is None else rate.of(amount),
                len(items),
                min(since for since, _ in items),
                as_of,
            )
            rows.append(dict(zip(AGING_COLUMNS, columns, strict=True)))
    return rows


def _subject(row: Row) -> tuple[str, str]:
    """What an entry belongs to, in the order in which items of one day are used up."""
    if row["payout_id"] is not None:
        return "payout", row["payout_id"]
    if row["commission_id"] is not None:
        return "commission", row["commission_id"]
    return "account", row["source_event_id"]


def _open_items(subjects: dict[tuple[str, str], list[Row]]) -> list[tuple[date, Decimal]]:
    nets = {subject: sum((row["amount"] for row in rows), Decimal(0)) for subject, rows in subjects.items()}
    balance = sum(nets.values(), Decimal(0))
    if balance == 0:
        return []
    sign = 1 if balance > 0 else -1
    queue = []
    for subject, net in nets.items():
        if net * sign > 0:
            since = min(row["effective_date"] for row in subjects[subject] if row["amount"] * sign > 0)
            queue.append((since, ":".join(subject), abs(net)))
    used = sum((abs(net) for net in nets.values() if net * sign < 0), Decimal(0))
    items = []
    for since, _, amount in sorted(queue):
        taken = min(amount, used)
        used -= taken
        if amount > taken:
            items.append((since, sign * (amount - taken)))
    return items


def _band(age: int) -> str:
    return next((name for last, name in _BANDS if age <= last), "90+")


def liability_rows(statement: list[Row]) -> list[Row]:
    """`commission_liabilities_monthly`."""
    groups: dict[tuple[str, str, date], list[Row]] = {}
    for row in statement:
        groups.setdefault((row["source_id"], row["currency"], row["month"]), []).append(row)
    rows = []
    for key, partners in groups.items():
        payable = [row["payable_balance"] for row in partners]
        values = (
            *key,
            *_sides([row["pending_balance"] for row in partners]),
            *_sides(payable),
            sum((row["in_transit_balance"] for row in partners), Decimal(0)),
            sum((row["closing_balance"] for row in partners), Decimal(0)),
            *_sides([row["pending_rc"] for row in partners]),
            *_sides([row["payable_rc"] for row in partners]),
            null_or_sum([row["in_transit_rc"] for row in partners]),
            null_or_sum([row["closing_rc"] for row in partners]),
            sum(amount > 0 for amount in payable),
            sum(amount < 0 for amount in payable),
        )
        rows.append(dict(zip(LIABILITY_COLUMNS, values, strict=True)))
    return rows


def _sides(amounts: list[Any]) -> tuple[Decimal | None, Decimal | None]:
    """What is above zero, and what is below it as a positive number."""
    if None in amounts:
        return None, None
    return sum((max(each, Decimal(0)) for each in amounts), Decimal(0)), sum(
        (max(-each, Decimal(0)) for each in amounts), Decimal(0)
    )


def clawback_rows(ledger: list[Row]) -> list[Row]:
    """`commission_clawbacks_monthly`."""
    earned_in: dict[tuple[str, str], date] = {}
    for row in ledger:
        if row["entry_type"] == "earned":
            earned_in[row["source_id"], row["commission_id"]] = row["effective_date"].replace(day=1)
    groups: dict[tuple[str, str, str, date], tuple[list[Row], list[Row]]] = {}
    for row in ledger:
        is_earning = row["entry_type"] in EARNED_TYPES
        is_clawback = row["adjustment_type"] in ("clawback", "chargeback", "refund")
        if is_earning or is_clawback:
            own = row["effective_date"].replace(day=1)
            month = earned_in.get((row["source_id"], row["commission_id"]), own)
            group = groups.setdefault((row["source_id"], row["partner_id"], row["currency"], month), ([], []))
            group[is_clawback].append(row)
    rows = []
    for key, (earnings, clawbacks) in groups.items():
        earned = sum((row["amount"] for row in earnings), Decimal(0))
        taken = -sum((row["amount"] for row in clawbacks), Decimal(0))
        values = (
            *key,
            earned,
            taken,
            float(taken) / float(earned) if earned else None,
            len({row["commission_id"] for row in earnings}),
            len({row["commission_id"] for row in clawbacks} - {None}),
        )
        rows.append(dict(zip(CLAWBACK_COLUMNS, values, strict=True)))
    return rows


def seconds(start: datetime | None, end: datetime | None) -> int | None:
    """Whole seconds, rounded down; None where either is."""
    return None if start is None or end is None else (end - start) // timedelta(seconds=1)
