"""The oracle's economics: revenue, cost and customers by partner and month, added up row by row."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from tests.oracle_entities import commission_groups
from tests.oracle_events import Event, Row, newest
from tests.oracle_ledger import ADJUSTED_TYPES, EARNED_TYPES

Key = tuple[Any, ...]
PARTS = ("ggr", "bonus_cost", "chargebacks", "payment_fees", "gaming_tax", "other_deductions")
WORTH = (*EARNED_TYPES, *ADJUSTED_TYPES, "transferred")


@dataclass(frozen=True)
class EconomicInputs:
    """
    What is loaded beside the events; the reporting currency is EUR.

    Attributes:
        activity: Rows of player_activity; empty: never loaded.
        spend: Rows of marketing_spend; likewise.
        quotes: Day and currency to euros for one of it, good for that day and the seven after.
    """

    activity: list[Row] = field(default_factory=list)
    spend: list[Row] = field(default_factory=list)
    quotes: dict[tuple[date, str], Decimal] = field(default_factory=dict)

    def in_euros(self, amount: Decimal | None, currency: str, day: date) -> Decimal | None:
        """To eight places; None without an amount or a rate."""
        if amount is None or currency == "EUR":
            return amount
        for age in range(8):
            if (rate := self.quotes.get((day - timedelta(days=age), currency))) is not None:
                return (amount * rate).quantize(Decimal("0.00000001"), ROUND_HALF_UP)
        return None


@dataclass
class Economics:
    """Everything that the marts below are added up from."""

    events: list[Event]
    marts: dict[str, list[Row]]
    inputs: EconomicInputs
    timezone: str

    def __post_init__(self) -> None:
        self.zone = ZoneInfo(self.timezone)
        self.conversions = {(row["source_id"], row["conversion_id"]): row for row in self.marts["conversions"]}
        self.counted = [row for row in self.marts["conversions"] if row["duplicate_of_conversion_id"] is None]
        self.known = {(row["source_id"], row["partner_id"]) for row in self.marts["partners"]}
        self.commissions = {key: self._commission(group) for key, group in commission_groups(self.events).items()}
        types = {(event.source_id, event.event_id): event.at("adjustment.type") for event in self.events}
        self.entries = [
            {
                **row,
                "rc": self.inputs.in_euros(row["amount"], row["currency"], row["effective_date"]),
                "month": row["booking_date"].replace(day=1),
                "is_adjustment": row["entry_type"] not in EARNED_TYPES,
                "commission": self.commissions.get((row["source_id"], row["commission_id"])),
                "adjustment_type": types[row["source_id"], row["source_event_id"]],
            }
            for row in self.marts["commission_ledger"]
            if row["entry_type"] in WORTH
        ]
        self.customers = self._customers()
        self.activity = [self._worth(row) for row in self.inputs.activity]

    def day(self, moment: datetime) -> date:
        """The day in the reporting timezone."""
        return moment.replace(tzinfo=UTC).astimezone(self.zone).date()

    def month(self, moment: datetime) -> date:
        """The first day of its month there."""
        return self.day(moment).replace(day=1)

    def is_loaded(self, rows: list[Row], day: str, source_id: str, month: date) -> bool:
        """Whether the input says something of that month of the source, or of months on both sides of it."""
        months = [row[day].replace(day=1) for row in rows if row["source_id"] == source_id]
        return bool(months) and min(months) <= month <= max(months)

    def has_activity(self, source_id: str, month: date) -> bool:
        """Whether activity is loaded."""
        return self.is_loaded(self.inputs.activity, "activity_date", source_id, month)

    def has_spend(self, source_id: str, month: date) -> bool:
        """Whether spend is loaded."""
        return self.is_loaded(self.inputs.spend, "spend_date", source_id, month)

    def spend(self, source_id: str, partner_id: str, month: date) -> Decimal | None:
        """What was spent on a partner in a month."""
        return total(
            self.inputs.in_euros(row["amount"], row["currency"], row["spend_date"])
            for row in self.inputs.spend
            if (row["source_id"], row["partner_id"], row["spend_date"].replace(day=1)) == (source_id, partner_id, month)
        )

    def _commission(self, group: list[Event]) -> Row:
        model, level = newest(group, "commission.model"), newest(group, "commission.sub_affiliate.level")
        return {
            "id": group[0].at("commission.id"),
            "conversion": self.conversions.get((group[0].source_id, newest(group, "commission.conversion_id"))),
            "customer_id": newest(group, "commission.customer_id"),
            "model": model,
            "component": newest(group, "commission.component"),
            "plan_id": newest(group, "commission.plan_id"),
            "rate": newest(group, "commission.rate") or {},
            "period_start": newest(group, "commission.period.start"),
            "is_override": model == "override" or (level or 0) > 0,
            "level": level,
            "child": newest(group, "commission.sub_affiliate.source_partner_id"),
        }

    def _customers(self) -> dict[Key, Row]:
        """(source, customer) to partner and month of acquisition."""
        found: dict[Key, Row] = {}
        for row in sorted(self.counted, key=lambda row: (row["created_at"], row["conversion_id"])):
            if row["customer_id"] is not None:
                acquired = {"partner_id": row["partner_id"], "month": self.month(row["created_at"])}
                found.setdefault((row["source_id"], row["customer_id"]), acquired)
        return found

    def _worth(self, row: Row) -> Row:
        parts = {part: row.get(part) for part in PARTS}
        euros = {
            part: self.inputs.in_euros(amount, row["currency"], row["activity_date"]) for part, amount in parts.items()
        }
        return {
            **row,
            **{f"{part}_rc": euro for part, euro in euros.items()},
            "customer": self.customers.get((row["source_id"], row["customer_id"])),
            "month": row["activity_date"].replace(day=1),
            "is_active": row.get("is_active") is not False,
            "lacks_a_rate": any(parts[part] is not None and euros[part] is None for part in PARTS),
            "has_amount": any(amount is not None for amount in parts.values()),
            "ngr_rc": ngr(euros),
        }


def ngr(euros: Row) -> Decimal | None:
    """Gross gaming revenue less all that comes off; None where nothing is known."""
    if all(euros[part] is None for part in PARTS):
        return None
    return (euros["ggr"] or Decimal(0)) - sum((euros[part] or Decimal(0) for part in PARTS[1:]), Decimal(0))


def total(amounts: Iterable[Decimal | None]) -> Decimal | None:
    """The sum; None where one of them is."""
    found = list(amounts)
    return None if None in found else sum((each for each in found if each is not None), Decimal(0))


def worth(rows: list[Row]) -> Decimal | None:
    """NGR of days of activity: 0 of none, None where a rate is missing or no day has an amount."""
    if not rows:
        return Decimal(0)
    known = [row["ngr_rc"] for row in rows if row["has_amount"]]
    return None if any(row["lacks_a_rate"] for row in rows) or not known else total(known)


def plus(*amounts: Decimal | None) -> Decimal | None:
    """The sum; None where one is."""
    return total(amounts)


def minus(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    """The difference; None where one is."""
    return None if one is None or other is None else one - other


def fraction(part: Decimal | int | None, whole: Decimal | int | None) -> float | None:
    """As a binary fraction; None where the whole is 0."""
    return None if part is None or not whole else float(part) / float(whole)


def months_between(earlier: date, later: date) -> int:
    """Whole months."""
    return (later.year - earlier.year) * 12 + later.month - earlier.month


def following(month: date, count: int = 1) -> date:
    """The first day of a month some months later."""
    place = month.year * 12 + month.month - 1 + count
    return date(place // 12, place % 12 + 1, 1)


def grouped_rows(rows: Iterable[Row], key: Any) -> dict[Key, list[Row]]:
    """*rows* by *key*."""
    groups: dict[Key, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups
