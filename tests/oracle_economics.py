"""The oracle's economics: revenue, cost and customers by partner and month, added up row by row."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from tests.oracle_entities import commission_groups
from tests.oracle_events import Event, Row, grouped, newest, of_kind, read_money
from tests.oracle_ledger import ADJUSTED_TYPES, EARNED_TYPES

Key = tuple[Any, ...]
PARTS = ("ggr", "bonus_cost", "chargebacks", "payment_fees", "gaming_tax", "other_deductions")
WORTH = (*EARNED_TYPES, *ADJUSTED_TYPES, "transferred")
_STATUS = {"registered": "pending", "approved": "active", "suspended": "suspended", "terminated": "terminated"}


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


# ---------- partner_economics


def partner_economics(economics: Economics) -> list[Row]:
    """Without the closing balance, which is the statement's."""
    by_partner: dict[Key, list[Row]] = grouped_rows(
        economics.entries, lambda row: (row["source_id"], row["partner_id"], row["month"])
    )
    by_origin = grouped_rows(
        (row for row in economics.entries if row["commission"] and row["commission"]["is_override"]),
        lambda row: (row["source_id"], _origin(economics, row), row["month"]),
    )
    by_cohort = grouped_rows(
        (row for row in economics.entries if _cohort(row)),
        lambda row: (
            row["source_id"],
            row["commission"]["conversion"]["partner_id"],
            economics.month(row["commission"]["conversion"]["created_at"]),
        ),
    )
    conversions = grouped_rows(
        economics.counted, lambda row: (row["source_id"], row["partner_id"], economics.month(row["created_at"]))
    )
    payouts = grouped_rows(
        (row for row in economics.marts["payouts"] if row["completed_at"]),
        lambda row: (row["source_id"], row["partner_id"], economics.month(row["completed_at"])),
    )
    clicks = grouped(
        of_kind(economics.events, "click.tracked"),
        lambda event: (event.source_id, event.partner_id, economics.month(event.occurred_at)),
    )
    clicks = {key: group for key, group in clicks.items() if key[:2] in economics.known}
    days = grouped_rows(
        (row for row in economics.activity if row["customer"]),
        lambda row: (row["source_id"], row["customer"]["partner_id"], row["month"]),
    )
    spent = {
        (row["source_id"], row["partner_id"], row["spend_date"].replace(day=1))
        for row in economics.inputs.spend
        if (row["source_id"], row["partner_id"]) in economics.known
    }
    statement = {
        (row["source_id"], row["partner_id"], row["month"]) for row in economics.marts["commission_statement_monthly"]
    }
    rows = []
    for key in statement | conversions.keys() | clicks.keys() | payouts.keys() | by_origin.keys() | days.keys() | spent:
        source_id, partner_id, month = key
        own = by_partner.get(key, [])
        paid = [row for row in own if not (row["commission"] and row["commission"]["is_override"])]
        commission = total(row["rc"] for row in paid if not row["is_adjustment"])
        adjustment = total(row["rc"] for row in paid if row["is_adjustment"])
        override = total(row["rc"] for row in by_origin.get(key, []))
        cohort = total(row["rc"] for row in by_cohort.get(key, []))
        fees = total(_fee(economics, row) for row in payouts.get(key, []))
        revenue = worth(days.get(key, [])) if economics.has_activity(source_id, month) else None
        spend = economics.spend(*key) if economics.has_spend(source_id, month) else None
        cost = plus(commission, override, adjustment, fees, spend)
        made = conversions.get(key, [])
        ever = [row for row in made if row["first_qualified_at"]]
        deposits = [row for row in made if row["conversion_type"] == "first_deposit"]
        active, retention = _active(economics, key)
        rows.append(
            {
                "source_id": source_id,
                "partner_id": partner_id,
                "month": month,
                "status": _status(economics, key),
                "tier": _tier(economics, key),
                "gross_clicks": len(clicks.get(key, [])),
                "total_clicks": sum(e.at("click.validity") in ("valid", "duplicate") for e in clicks.get(key, [])),
                "unique_clicks": sum(
                    e.at("click.validity") == "valid" and e.at("click.is_unique") is True for e in clicks.get(key, [])
                ),
                "conversions": len(made),
                "qualified": sum(row["status"] == "qualified" for row in made),
                "first_deposits": len(deposits),
                "qualified_first_deposits": sum(row["status"] == "qualified" for row in deposits),
                "ever_qualified": len(ever),
                "reversed": sum(row["was_reversed"] for row in made),
                "reversal_rate": fraction(sum(row["was_reversed"] for row in made), len(ever)),
                "commissions": len({row["commission_id"] for row in own if not row["is_adjustment"]}),
                "completed_payouts": len(payouts.get(key, [])),
                "player_revenue_rc": revenue,
                "commission_rc": commission,
                "override_rc": override,
                "adjustment_rc": adjustment,
                "payout_fees_rc": fees,
                "marketing_spend_rc": spend,
                "cost_rc": cost,
                "margin_rc": minus(revenue, cost),
                "override_earned_rc": total(row["rc"] for row in own if row not in paid),
                "cohort_commission_rc": cohort,
                "roi": fraction(minus(revenue, cost), cost),
                "effective_cpa": fraction(cohort, sum(row["status"] == "qualified" for row in deposits)),
                "effective_commission_rate": fraction(plus(commission, override, adjustment), revenue),
                "active_customers": active,
                "retention_rate": retention,
                "has_player_activity": economics.has_activity(source_id, month),
                "has_marketing_spend": economics.has_spend(source_id, month),
            }
        )
    return rows


def grouped_rows(rows: Iterable[Row], key: Any) -> dict[Key, list[Row]]:
    """*rows* by *key*."""
    groups: dict[Key, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def _origin(economics: Economics, row: Row) -> str:
    commission = row["commission"]
    if (row["source_id"], commission["child"]) in economics.known:
        return str(commission["child"])
    return str((commission["conversion"] or row)["partner_id"])


def _cohort(row: Row) -> bool:
    conversion = row["commission"] and row["commission"]["conversion"]
    return bool(conversion) and conversion["duplicate_of_conversion_id"] is None


def _fee(economics: Economics, payout: Row) -> Decimal | None:
    events = [
        event
        for event in economics.events
        if event.type.startswith("payout.")
        and (event.source_id, event.at("payout.id")) == (payout["source_id"], payout["payout_id"])
    ]
    charged = of_kind(events, "payout.completed")[-1].money("completion.provider_fee")
    fees = [money for fee in events[-1].at("payout.fees") or [] if (money := read_money(fee.get("amount")))]
    if charged is None and len({fee.currency for fee in fees}) == 1:
        day = economics.day(payout["completed_at"])
        return economics.inputs.in_euros(sum((fee.amount for fee in fees), Decimal(0)), fees[0].currency, day)
    if charged is None:
        return Decimal(0)
    return economics.inputs.in_euros(charged.amount, charged.currency, economics.day(payout["completed_at"]))


def _active(economics: Economics, key: Key) -> tuple[int | None, float | None]:
    source_id, partner_id, month = key
    if not economics.has_activity(source_id, month):
        return None, None

    def active_in(month: date) -> set[str]:
        return {
            row["customer_id"]
            for row in economics.activity
            if row["customer"]
            and row["is_active"]
            and (row["source_id"], row["customer"]["partner_id"], row["month"]) == (source_id, partner_id, month)
        }

    now, before = active_in(month), active_in(following(month, -1))
    return len(now), fraction(len(now & before), len(before))


def _status(economics: Economics, key: Key) -> str | None:
    status = None
    for event in economics.events:
        is_own = event.type.startswith("partner.") and (event.source_id, event.partner_id) == key[:2]
        if is_own and economics.month(event.occurred_at) <= key[2]:
            status = _STATUS[event.type.removeprefix("partner.")]
    return status


def _tier(economics: Economics, key: Key) -> str | None:
    seen = []
    for event in economics.events:
        if (event.source_id, event.partner_id) != key[:2]:
            continue
        if event.type == "commission.tier_changed":
            tier = event.at("tier_change.new_tier") or {}
            seen.append((date.fromisoformat(event.at("tier_change.effective_from")), event.order_key, tier))
        elif event.type.startswith("partner.") and (event.at("partner.tier.id") or event.at("partner.tier.name")):
            seen.append((economics.day(event.occurred_at), event.order_key, event.at("partner.tier")))
    reached = sorted((each for each in seen if each[0].replace(day=1) <= key[2]), key=lambda each: each[:2])
    return (reached[-1][2].get("name") or reached[-1][2].get("id")) if reached else None


# ---------- customer_cohorts_monthly


def customer_cohorts(economics: Economics) -> list[Row]:
    """From acquisition to the newest month of ledger or activity."""
    cohorts = grouped_rows(
        ({"id": key, **row} for key, row in economics.customers.items()),
        lambda row: (row["id"][0], row["partner_id"], row["month"]),
    )
    newest_month = max(
        [row["month"] for row in economics.entries]
        + [row["month"] for row in economics.customers.values()]
        + [row["month"] for row in economics.activity if row["customer"]],
        default=None,
    )
    rows = []
    for (source_id, partner_id, acquired), customers in cohorts.items():
        assert newest_month is not None
        members = {row["id"][1] for row in customers}
        cumulative: Decimal | None = Decimal(0)
        paid_back = None
        own: list[Row] = []
        for age in range(months_between(acquired, newest_month) + 1):
            month = following(acquired, age)
            days = [
                row
                for row in economics.activity
                if row["source_id"] == source_id
                and row["customer_id"] in members
                and (row["month"] == month or (age == 0 and row["month"] < month))
            ]
            booked = [
                row
                for row in economics.entries
                if row["source_id"] == source_id
                and _customer_of(row) in members
                and (row["month"] == month or (age == 0 and row["month"] < month))
            ]
            has_days = economics.has_activity(source_id, month)
            revenue = worth(days) if has_days else None
            commission = total(row["rc"] for row in booked)
            spend = Decimal(0) if age else economics.spend(source_id, partner_id, acquired)
            spend = spend if economics.has_spend(source_id, acquired) else None
            cost = plus(commission, spend)
            cumulative = plus(cumulative, minus(revenue, cost))
            if cumulative is not None and cumulative >= 0 and paid_back is None:
                paid_back = age
            active = len({row["customer_id"] for row in days if row["is_active"]}) if has_days else None
            own.append(
                {
                    "source_id": source_id,
                    "partner_id": partner_id,
                    "acquisition_month": acquired,
                    "age_months": age,
                    "month": month,
                    "customers": len(members),
                    "active_customers": active,
                    "retention_rate": fraction(active, len(members)),
                    "ngr_rc": revenue,
                    "commission_rc": commission,
                    "marketing_spend_rc": spend,
                    "cost_rc": cost,
                    "margin_rc": minus(revenue, cost),
                    "cumulative_margin_rc": cumulative,
                }
            )
        rows += [{**row, "payback_age_months": paid_back} for row in own]
    return rows


def _customer_of(row: Row) -> str | None:
    commission = row["commission"]
    if commission is None:
        return None
    found = commission["customer_id"] or (commission["conversion"] or {}).get("customer_id")
    return None if found is None else str(found)


# ---------- program_concentration_monthly


def program_concentration(rows: list[Row]) -> list[Row]:
    """From the rows of partner_economics."""
    metrics: dict[str, Callable[[Row], Decimal | None]] = {
        "unique_clicks": lambda row: Decimal(row["unique_clicks"]),
        "conversions": lambda row: Decimal(row["conversions"]),
        "first_deposits": lambda row: Decimal(row["first_deposits"]),
        "player_revenue": lambda row: row["player_revenue_rc"],
        "net_commission": lambda row: plus(row["commission_rc"], row["override_earned_rc"], row["adjustment_rc"]),
    }
    found = []
    for (source_id, month), group in grouped_rows(rows, lambda row: (row["source_id"], row["month"])).items():
        for metric, value in metrics.items():
            values = [value(row) for row in group]
            positive = sorted((each for each in values if each is not None and each > 0), reverse=True)
            whole = sum(positive, Decimal(0))
            is_known = None not in values and bool(positive)
            shares = [(each / whole).quantize(Decimal("0.000000001")) for each in positive] if is_known else []
            found.append(
                {
                    "source_id": source_id,
                    "month": month,
                    "metric": metric,
                    "partners": len(positive),
                    **{
                        f"top_{top}_share": fraction(sum(positive[:top], Decimal(0)), whole) if is_known else None
                        for top in (1, 5, 10)
                    },
                    "hhi": float(sum((share * share for share in shares), Decimal(0)) * 10_000) if is_known else None,
                }
            )
    return found


# ---------- sub_affiliate_overrides_monthly


def overrides(economics: Economics, rows: list[Row]) -> list[Row]:
    """What parents earn on children; *rows* are of partner_economics."""
    children = {(row["source_id"], row["partner_id"], row["month"]): row for row in rows}
    groups = grouped_rows(
        (row for row in economics.entries if row["commission"] and row["commission"]["is_override"]),
        lambda row: (
            row["source_id"],
            row["partner_id"],
            row["commission"]["child"] or "(none)",
            row["commission"]["level"] or 0,
            row["month"],
        ),
    )
    found = []
    for (source_id, parent, child, level, month), group in groups.items():
        earned = total(row["rc"] for row in group if not row["is_adjustment"])
        adjusted = total(row["rc"] for row in group if row["is_adjustment"])
        own = children.get((source_id, child, month))
        base = None if own is None else plus(own["commission_rc"], own["adjustment_rc"])
        found.append(
            {
                "source_id": source_id,
                "parent_partner_id": parent,
                "child_partner_id": child,
                "level": level,
                "month": month,
                "commissions": len({row["commission_id"] for row in group if not row["is_adjustment"]}),
                "earned_rc": earned,
                "adjustment_rc": adjusted,
                "override_rc": plus(earned, adjusted),
                "child_commission_rc": base,
                "override_rate": fraction(plus(earned, adjusted), base),
            }
        )
    return found
