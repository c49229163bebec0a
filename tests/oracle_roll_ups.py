"""The oracle's roll-ups: every click, conversion, rejection and move of money counted one by one, day after day."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, TypeAlias

from tests.oracle_clicks import local_day
from tests.oracle_events import Event, Row, grouped, newest_object
from tests.oracle_rates import Rates

REPORTING_CURRENCY = "EUR"
NONE = "(none)"

_CLICKS = ("gross_clicks", "total_clicks", "unique_clicks")
_STATUSES = ("qualified", "rejected", "pending")
_FUNNEL_COUNTS = (
    "conversions",
    "first_conversions",
    "registrations",
    "first_deposits",
    "qualified_first_deposits",
    *_STATUSES,
    "ever_qualified",
    "reversed",
    "view_through_conversions",
    "clickless_conversions",
    "duplicate_conversions",
)
_FUNNEL_KEY = ("source_id", "partner_id", "event_date", "campaign_id", "country", "vertical")
_TRAFFIC_KEY = ("source_id", "partner_id", "event_date", "traffic_source", "sub1", "country")
_PERFORMANCE_KEY = ("source_id", "partner_id", "event_date", "currency")
_REJECTION_KEY = ("source_id", "partner_id", "event_date", "category", "reason_code", "decided_by")
FUNNEL_COLUMNS = (
    *_FUNNEL_KEY,
    *_CLICKS,
    *_FUNNEL_COUNTS,
    "value_rc",
    "qualified_value_rc",
    "is_rate_missing",
    "conversion_rate",
    "approval_rate",
    "reversal_rate",
    "seconds_to_qualify_p50",
    "seconds_to_qualify_p90",
    "is_mature",
)
_TRAFFIC_CLICKS = (*_CLICKS, "invalid_clicks", "bot_clicks")
_TRAFFIC_COUNTS = (
    "conversions",
    "first_conversions",
    "registrations",
    "first_deposits",
    *_STATUSES,
    "rejected_for_fraud",
)
TRAFFIC_COLUMNS = (
    *_TRAFFIC_KEY,
    *_TRAFFIC_CLICKS,
    *_TRAFFIC_COUNTS,
    "value_rc",
    "is_rate_missing",
    "conversion_rate",
    "approval_rate",
    "invalid_click_rate",
)
_BOOKED = ("earned", "adjusted", "transferred", "approved", "paid", "returned")
_PERFORMANCE_COUNTS = (
    "conversions",
    "first_conversions",
    "registrations",
    "first_deposits",
    "qualified_first_deposits",
    *_STATUSES,
)
PARTNER_PERFORMANCE_COLUMNS = (
    *_PERFORMANCE_KEY,
    *_CLICKS,
    *_PERFORMANCE_COUNTS,
    *_BOOKED,
    "net_commission",
    "revenue",
    "cohort_commission",
    "commission_per_click",
    "revenue_per_click",
    "effective_cpa",
    "effective_commission_rate",
)
_REJECTED_MONEY = ("value", "commission_avoided", "commission_to_claw_back")
REJECTIONS_COLUMNS = (
    *_REJECTION_KEY,
    "rejections",
    "reinstated",
    "cohort_rejected",
    "cohort_decided",
    *(f"{name}_rc" for name in _REJECTED_MONEY),
    "share",
    "rejection_rate",
    "is_rate_missing",
)


@dataclass(frozen=True, slots=True)
class Told:
    """A conversion of the marts with what its newest events say of the visit."""

    row: Row
    day: date
    tracking: dict[str, Any]
    geo: dict[str, Any]
    device: dict[str, Any]

    @property
    def counts(self) -> bool:
        """It is nobody's duplicate."""
        return self.row["duplicate_of_conversion_id"] is None

    @property
    def is_first(self) -> bool:
        """Nobody says that it is a repetition."""
        return self.row["is_first"] is not False

    def tally(self) -> dict[str, bool]:
        """What it counts as, by name of the count."""
        row, kind, status = self.row, self.row["conversion_type"], self.row["status"]
        return {
            "conversions": True,
            "first_conversions": self.is_first,
            "registrations": kind == "registration",
            "first_deposits": kind == "first_deposit",
            "qualified_first_deposits": kind == "first_deposit" and status == "qualified",
            "qualified": status == "qualified",
            "rejected": status == "rejected",
            "pending": status == "pending",
            "ever_qualified": row["qualified_count"] > 0,
            "reversed": row["was_reversed"],
            "view_through_conversions": bool(self.tracking.get("is_view_through")),
            "clickless_conversions": self.tracking.get("click_id") is None,
            "rejected_for_fraud": status == "rejected" and row["rejection_category"] == "fraud",
        }


def told_conversions(events: list[Event], conversions: list[Row], timezone: str) -> list[Told]:
    """The rows of `conversions`, each with its visit."""
    groups = grouped(
        (event for event in events if event.type.startswith("conversion.")),
        lambda event: (event.source_id, event.at("conversion.id")),
    )
    told = []
    for row in conversions:
        group = groups[row["source_id"], row["conversion_id"]]
        visit = [newest_object(group, name) for name in ("tracking", "geo", "device")]
        told.append(Told(row, local_day(row["created_at"], timezone), *visit))
    return told


def share_of(part: float | Decimal, whole: float | Decimal) -> float | None:
    """A fraction as the marts have it; None of nothing."""
    return float(part) / float(whole) if whole else None


def percentile(values: Iterable[Any], percent: int) -> Any:
    """The smallest of *values* that at least so many percent of them do not exceed."""
    ranked = sorted(values)
    return ranked[-(-len(ranked) * percent // 100) - 1] if ranked else None


def _in_rc(pairs: Iterable[tuple[Decimal | None, str | None]], day: date, rates: Rates) -> Decimal | None:
    """The sum in the reporting currency, at the rates of *day*; None where one of the amounts has none."""
    total = Decimal(0)
    for amount, currency in pairs:
        if amount is None or currency is None:
            continue
        rate = rates.on(day, currency)
        if rate is None:
            return None
        total += rate.of(amount)
    return total


def _click_counts(clicks: list[Row]) -> dict[str, int]:
    return {
        "gross_clicks": len(clicks),
        "total_clicks": sum(click["validity"] in ("valid", "duplicate") for click in clicks),
        "unique_clicks": sum(click["validity"] == "valid" and bool(click["is_unique"]) for click in clicks),
        "invalid_clicks": sum(click["validity"] == "invalid" for click in clicks),
        "bot_clicks": sum(bool(click["is_bot"]) for click in clicks),
    }


def _named(value: str | None) -> str:
    return NONE if value is None else value


def funnel_rows(clicks: list[Row], told: list[Told], rates: Rates) -> list[Row]:
    """`conversion_funnel_daily`."""
    by_key: dict[tuple[Any, ...], tuple[list[Row], list[Told]]] = defaultdict(lambda: ([], []))
    unique_by_place: Counter[tuple[Any, ...]] = Counter()
    for click in clicks:
        place = (
            click["source_id"],
            click["partner_id"],
            click["click_date"],
            _named(click["campaign_id"]),
            _named(click["geo_country"]),
        )
        by_key[*place, NONE][0].append(click)
        unique_by_place[place] += _click_counts([click])["unique_clicks"]
    for each in told:
        place = (
            each.row["source_id"],
            each.row["partner_id"],
            each.day,
            _named(each.tracking.get("campaign_id")),
            _named(each.geo.get("country")),
        )
        by_key[*place, _named(each.row["vertical"])][1].append(each)
    rows = []
    for key, (own_clicks, everything) in by_key.items():
        own = [each for each in everything if each.counts]
        counts = Counter(name for each in own for name, is_one in each.tally().items() if is_one)
        counts["duplicate_conversions"] = len(everything) - len(own)
        clicked = _click_counts(own_clicks)
        values = [(each.row["value_amount"], each.row["value_currency"]) for each in own]
        value = _in_rc(values, key[2], rates)
        qualified = [pair for pair, each in zip(values, own, strict=True) if each.row["status"] == "qualified"]
        qualified_value = _in_rc(qualified, key[2], rates)
        seconds = [each.row["seconds_to_qualify"] for each in own if each.row["seconds_to_qualify"] is not None]
        row = dict(zip(_FUNNEL_KEY, key, strict=True))
        row |= {name: clicked[name] for name in _CLICKS} | {name: counts[name] for name in _FUNNEL_COUNTS}
        row |= {
            "value_rc": value,
            "qualified_value_rc": None if value is None else qualified_value,
            "is_rate_missing": value is None,
            "conversion_rate": share_of(counts["first_conversions"], unique_by_place[key[:5]]),
            "approval_rate": share_of(counts["qualified"], counts["qualified"] + counts["rejected"]),
            "reversal_rate": share_of(counts["reversed"], counts["ever_qualified"]),
            "seconds_to_qualify_p50": percentile(seconds, 50),
            "seconds_to_qualify_p90": percentile(seconds, 90),
            "is_mature": counts["pending"] == 0,
        }
        rows.append(row)
    return rows


def traffic_rows(clicks: list[Row], told: list[Told], rates: Rates) -> list[Row]:
    """`traffic_source_daily`."""
    by_key: dict[tuple[Any, ...], tuple[list[Row], list[Told]]] = defaultdict(lambda: ([], []))
    for click in clicks:
        named = [_named(click[name]) for name in ("traffic_source", "sub1", "geo_country")]
        by_key[click["source_id"], click["partner_id"], click["click_date"], *named][0].append(click)
    for each in told:
        if each.counts:
            sub1 = (each.tracking.get("sub_ids") or {}).get("sub1")
            named = [_named(value) for value in (each.tracking.get("traffic_source"), sub1, each.geo.get("country"))]
            by_key[each.row["source_id"], each.row["partner_id"], each.day, *named][1].append(each)
    rows = []
    for key, (own_clicks, own) in by_key.items():
        counts = Counter(name for each in own for name, is_one in each.tally().items() if is_one)
        clicked = _click_counts(own_clicks)
        values = [(each.row["value_amount"], each.row["value_currency"]) for each in own]
        value = _in_rc(values, key[2], rates)
        row = dict(zip(_TRAFFIC_KEY, key, strict=True))
        row |= {name: clicked[name] for name in _TRAFFIC_CLICKS} | {name: counts[name] for name in _TRAFFIC_COUNTS}
        row |= {
            "value_rc": value,
            "is_rate_missing": value is None,
            "conversion_rate": share_of(counts["first_conversions"], clicked["unique_clicks"]),
            "approval_rate": share_of(counts["qualified"], counts["qualified"] + counts["rejected"]),
            "invalid_click_rate": share_of(clicked["invalid_clicks"], clicked["gross_clicks"]),
        }
        rows.append(row)
    return rows


_BOOKED_AS = {
    "earned": "earned",
    "restated": "earned",
    "adjusted": "adjusted",
    "approval_variance": "adjusted",
    "transferred": "transferred",
    "approved": "approved",
    "paid": "paid",
    "returned": "returned",
}


_Sums: TypeAlias = dict[tuple[Any, ...], dict[str, Any]]


def partner_performance_rows(clicks: list[Row], told: list[Told], ledger: list[Row]) -> list[Row]:
    """`partner_performance_daily`: what is counted stands in the row of the reporting currency."""
    sums: _Sums = defaultdict(lambda: defaultdict(Decimal))
    for click in clicks:
        key = click["source_id"], click["partner_id"], click["click_date"], REPORTING_CURRENCY
        for name, count in _click_counts([click]).items():
            sums[key][name] += count
    _add_conversions(sums, [each for each in told if each.counts])
    _add_entries(sums, ledger)
    by_day: Counter[tuple[Any, ...]] = Counter()
    for key, figures in sums.items():
        for name in ("total_clicks", "qualified_first_deposits"):
            by_day[key[:3], name] += int(figures[name])
    rows = []
    for key, figures in sums.items():
        clicked, deposits = by_day[key[:3], "total_clicks"], by_day[key[:3], "qualified_first_deposits"]
        net = figures["earned"] + figures["adjusted"]
        row = dict(zip(_PERFORMANCE_KEY, key, strict=True))
        row |= {name: int(figures[name]) for name in (*_CLICKS, *_PERFORMANCE_COUNTS)}
        row |= {name: figures[name] for name in (*_BOOKED, "revenue", "cohort_commission")}
        row |= {
            "net_commission": net,
            "commission_per_click": share_of(net, clicked),
            "revenue_per_click": share_of(figures["revenue"], clicked),
            "effective_cpa": share_of(figures["cohort_commission"], deposits),
            "effective_commission_rate": share_of(figures["cohort_commission"], figures["revenue"]),
        }
        rows.append({name: row[name] for name in PARTNER_PERFORMANCE_COLUMNS})
    return rows


def _add_conversions(sums: _Sums, told: list[Told]) -> None:
    for each in told:
        day = each.row["source_id"], each.row["partner_id"], each.day
        for name, is_one in each.tally().items():
            sums[*day, REPORTING_CURRENCY][name] += is_one
        if each.row["value_amount"] is not None and each.row["status"] != "rejected":
            sums[*day, each.row["value_currency"]]["revenue"] += each.row["value_amount"]
        if each.row["net_commission_amount"] is not None:
            sums[*day, each.row["commission_currency"]]["cohort_commission"] += each.row["net_commission_amount"]


def _add_entries(sums: _Sums, ledger: list[Row]) -> None:
    for entry in ledger:
        figures = sums[entry["source_id"], entry["partner_id"], entry["effective_date"], entry["currency"]]
        booked = _BOOKED_AS.get(entry["entry_type"])
        if booked is None or (booked == "approved" and entry["bucket"] != "payable"):
            continue
        figures[booked] += -entry["amount"] if booked == "paid" else entry["amount"]


def rejections_daily_rows(rejections: list[Row], told: list[Told], timezone: str, rates: Rates) -> list[Row]:
    """`rejections_daily`: the day's rejections, and beside them how the day's own conversions ended."""
    by_key: dict[tuple[Any, ...], tuple[list[Row], list[Told]]] = defaultdict(lambda: ([], []))
    newest: dict[tuple[str, str], Row] = {}
    by_day: Counter[tuple[Any, ...]] = Counter()
    decided: Counter[tuple[Any, ...]] = Counter()
    for row in sorted(rejections, key=lambda row: (row["occurred_at"], row["event_id"])):
        newest[row["source_id"], row["conversion_id"]] = row
        day = row["source_id"], row["partner_id"], local_day(row["occurred_at"], timezone)
        named = [_named(row[name]) for name in ("category", "reason_code", "decided_by")]
        by_key[*day, *named][0].append(row)
        by_day[day] += 1
    for each in told:
        day = each.row["source_id"], each.row["partner_id"], each.day
        if each.counts and each.row["status"] != "pending":
            decided[day] += 1
        if each.counts and each.row["status"] == "rejected":
            last = newest.get((each.row["source_id"], each.row["conversion_id"]), {})
            reason = each.row["rejection_category"], each.row["rejection_reason_code"], last.get("decided_by")
            by_key[*day, *(_named(value) for value in reason)][1].append(each)
    rows = []
    for key, (own, cohort) in by_key.items():
        money = {
            f"{name}_rc": _in_rc([(row[f"{name}_amount"], row[f"{name}_currency"]) for row in own], key[2], rates)
            for name in _REJECTED_MONEY
        }
        row = dict(zip(_REJECTION_KEY, key, strict=True)) | {
            "rejections": len(own),
            "reinstated": sum(each["was_reinstated"] for each in own),
            "cohort_rejected": len(cohort),
            "cohort_decided": decided[key[:3]],
            "share": share_of(len(own), by_day[key[:3]]),
            "rejection_rate": share_of(len(cohort), decided[key[:3]]),
            "is_rate_missing": None in money.values(),
        }
        rows.append({name: (row | money)[name] for name in REJECTIONS_COLUMNS})
    return rows
