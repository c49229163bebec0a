"""Our side of a reconciliation: what the marts hold of one source, in the kinds that platforms report."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import pyarrow as pa

MartReader = Callable[[str, Mapping[str, Any]], pa.Table]
"""
Runs SQL over the marts, named without their schema; `$name` in it stands for one of the values.

As `pipelines.warehouse` gives it; said again here, because that imports dlt, which takes a second.
"""

CONVERSIONS = ("conversion", "conversion_qualified", "conversion_rejected")
REJECTION = "rejection"
COMMISSIONS = ("commission", "commission_earned", "commission_adjusted")
PAYOUTS = ("payout", "payout_returned")
KINDS = (*CONVERSIONS, REJECTION, *COMMISSIONS, *PAYOUTS)
"""What is compared. Clicks are not among them: reports count clicks and do not list them."""

CONVERSION_MONEY = {
    "value": ("value_amount", "value_currency"),
    "commission": ("net_commission_amount", "commission_currency"),
}
REJECTION_MONEY = {
    "value": ("value_amount", "value_currency"),
    "avoided": ("commission_avoided_amount", "commission_avoided_currency"),
    "claw_back": ("commission_to_claw_back_amount", "commission_to_claw_back_currency"),
}
PAYOUT_MONEY = {
    "amount": ("amount", "currency"),
    "debit": ("debit_amount", "debit_currency"),
    "gross": ("gross_amount", "gross_currency"),
    "settled": ("settled_amount", "settled_currency"),
    "fee": ("fee_amount", "fee_currency"),
}
CONVERSION_DAYS = ("change", "creation", "occurrence")

HELD_SCHEMA = pa.schema(
    [
        ("kind", pa.string()),
        ("id", pa.string()),
        ("partner", pa.string()),
        ("currency", pa.string()),
        ("amount", pa.decimal128(38, 18)),
        ("events", pa.int64()),
        ("happened_at", pa.timestamp("us")),
    ]
)

_MARGIN = timedelta(days=2)
"""More than any time zone is from UTC: days are told apart later, by the time zone of the comparison."""


@dataclass(frozen=True, slots=True)
class HeldMoney:
    """Which of their amounts is meant: keys of the `..._MONEY` above."""

    conversion: str = "value"
    rejection: str = "value"
    payout: str = "amount"


@dataclass(frozen=True, slots=True)
class HeldQuery:
    """
    What is asked of the marts.

    Attributes:
        source_id: All of it is of one source.
        kinds: Of KINDS.
        money: Of those that have several.
        conversions_by: When a conversion of each kind took place: at the change of its status, at its creation, or when
            it occurred by its own account.
        since: First day, about: rows up to two days before are among the answer. None: from the beginning.
        until: Last day, likewise.
    """

    source_id: str
    kinds: Sequence[str]
    money: HeldMoney = field(default_factory=HeldMoney)
    conversions_by: str = "change"
    since: date | None = None
    until: date | None = None


def held_rows(read: MartReader, query: HeldQuery) -> pa.Table:
    """
    Return what is held, in HELD_SCHEMA; `happened_at` is in UTC.

    One row per conversion, rejection and payout; per commission, partner and currency; per entry of the ledger for
    `commission_earned` and `commission_adjusted`. `events` is how many the row counts for: a restatement and the
    variance of an approval are money without an event of their own in a report.
    """
    if not query.kinds:
        return HELD_SCHEMA.empty_table()
    selects = "\nunion all\n".join(f"({_select(kind, query)})" for kind in query.kinds)
    values: dict[str, Any] = {"source_id": query.source_id}
    conditions = []
    if query.since is not None:
        conditions.append("held.happened_at >= $since")
        values["since"] = _midnight(query.since) - _MARGIN
    if query.until is not None:
        conditions.append("held.happened_at < $until")
        values["until"] = _midnight(query.until) + _MARGIN
    where = f"where {' and '.join(conditions)}" if conditions else ""
    return _in_shape(read(f"select held.* from (\n{selects}\n) as held {where}", values))


def held_span(read: MartReader, source_id: str) -> tuple[datetime, datetime] | None:
    """Return when the first and the last of anything held of *source_id* happened, in UTC; None where nothing is."""
    times = {
        "conversions": ("created_at", "first_qualified_at", "last_rejected_at"),
        "fraud_rejections": ("occurred_at",),
        "commission_ledger": ("effective_at",),
        "payouts": ("scheduled_at", "processing_at", "completed_at", "failed_at"),
    }
    selects = " union all ".join(
        f"select min({column}) as first_at, max({column}) as last_at from {mart} where source_id = $source_id"
        for mart, columns in times.items()
        for column in columns
    )
    sql = f"select min(first_at) as first_at, max(last_at) as last_at from ({selects}) as spans"
    found = read(sql, {"source_id": source_id}).to_pylist()[0]
    return None if found["first_at"] is None else (found["first_at"], found["last_at"])


def _in_shape(rows: pa.Table) -> pa.Table:
    return rows.select(HELD_SCHEMA.names).cast(HELD_SCHEMA)


def _midnight(day: date) -> datetime:
    # A day at either end of the calendar has no margin, and nothing happened there.
    day = min(max(day, date(2, 1, 1)), date(9998, 1, 1))
    return datetime(day.year, day.month, day.day)  # noqa: DTZ001 - the marts hold UTC without a zone


def _select(kind: str, query: HeldQuery) -> str:
    match kind:
        case "conversion" | "conversion_qualified" | "conversion_rejected":
            return _conversions(kind, query)
        case "rejection":
            amount, currency = REJECTION_MONEY[query.money.rejection]
            return _one_each(kind, "fraud_rejections", "event_id", amount, currency, "occurred_at")
        case "commission":
            return _net_commissions()
        case "commission_earned":
            return _entries(kind, ("earned", "restated"), "earned", "commission_id")
        case "commission_adjusted":
            entries = ("adjusted", "transferred", "approval_variance")
            return _entries(
                kind, entries, "adjusted', 'transferred", "coalesce(adjustment_id, commission_id, source_event_id)"
            )
        case "payout" | "payout_returned":
            amount, currency = PAYOUT_MONEY[query.money.payout]
            if kind == "payout_returned":
                return _one_each(kind, "payouts", "payout_id", amount, currency, "failed_at", "is_returned")
            # Also those that came back since: they were paid, and the return is a kind of its own.
            return _one_each(kind, "payouts", "payout_id", amount, currency, "completed_at", "completed_at is not null")
    raise ValueError(f"there is no kind {kind}")


def _one_each(kind: str, mart: str, key: str, amount: str, currency: str, at: str, condition: str = "true") -> str:
    return (
        f"select '{kind}' as kind, {key} as id, partner_id as partner, {currency} as currency, "
        f"cast({amount} as decimal(38, 18)) as amount, cast(1 as bigint) as events, {at} as happened_at "
        f"from {mart} where source_id = $source_id and {condition}"
    )


def _conversions(kind: str, query: HeldQuery) -> str:
    """Those of the same order are all there: the platform holds, and reports, each of its ids."""
    amount, currency = CONVERSION_MONEY[query.money.conversion]
    changed_at, condition = {
        "conversion": ("created_at", "true"),
        "conversion_qualified": ("first_qualified_at", "status = 'qualified'"),
        "conversion_rejected": ("last_rejected_at", "status = 'rejected'"),
    }[kind]
    at = {"change": changed_at, "creation": "created_at", "occurrence": "occurred_at"}[query.conversions_by]
    at = f"coalesce({at}, created_at, occurred_at)"
    return _one_each(kind, "conversions", "conversion_id", amount, currency, at, condition)


def _net_commissions() -> str:
    """From the ledger, not the column `net_amount`, which is null where a commission is of two currencies."""
    return (
        "select 'commission' as kind, entries.commission_id as id, entries.partner_id as partner, "
        "entries.currency as currency, cast(sum(entries.amount) as decimal(38, 18)) as amount, "
        "cast(1 as bigint) as events, "
        "coalesce(min(commissions.calculated_at), min(commissions.approved_at), min(entries.effective_at)) "
        "as happened_at "
        "from commission_ledger as entries left join commissions as commissions "
        "on entries.source_id = commissions.source_id and entries.commission_id = commissions.commission_id "
        "where entries.source_id = $source_id and entries.commission_id is not null and entries.entry_type in "
        "('earned', 'restated', 'adjusted', 'approval_variance', 'transferred') "
        "group by entries.commission_id, entries.partner_id, entries.currency"
    )


def _entries(kind: str, entry_types: Sequence[str], counted: str, key: str) -> str:
    types = ", ".join(f"'{each}'" for each in entry_types)
    return (
        f"select '{kind}' as kind, {key} as id, partner_id as partner, currency as currency, "
        f"cast(amount as decimal(38, 18)) as amount, "
        f"cast(case when entry_type in ('{counted}') then 1 else 0 end as bigint) as events, "
        f"effective_at as happened_at "
        f"from commission_ledger where source_id = $source_id and entry_type in ({types})"
    )
