"""The oracle's fraud signals: each conversion, click and payout looked at beside those before it."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from tests.oracle_clicks import local_day
from tests.oracle_events import Event, Row, of_kind
from tests.oracle_roll_ups import Told, percentile, share_of

SIGNAL_COLUMNS = (
    "source_id",
    "partner_id",
    "event_date",
    "signal",
    "numerator",
    "denominator",
    "value",
    "baseline",
    "threshold",
    "z",
    "is_breach",
)
SCORECARD_COLUMNS = (
    "source_id",
    "partner_id",
    "score",
    "breached_signals",
    "breached_signal_count",
    "breach_count",
    "exposure_rc",
    "is_rate_missing",
    "as_of_date",
)

_SHARES = {
    "short_click_to_conversion": 0.05,
    "long_click_to_conversion": 0.30,
    "geo_mismatch": 0.10,
    "conversions_without_click": 0.20,
    "first_deposits_at_minimum": 0.60,
    "chargeback_rate": 0.01,
}
_COUNTS = {"same_ip_24h": 3, "same_device_24h": 2, "payout_destination_shared": 2, "self_referral": 1}
_WEIGHTS = {
    "short_click_to_conversion": 15,
    "long_click_to_conversion": 5,
    "same_ip_24h": 15,
    "same_device_24h": 15,
    "velocity": 10,
    "geo_mismatch": 10,
    "conversions_without_click": 10,
    "conversion_rate_outlier": 15,
    "rejection_spike": 10,
    "first_deposits_at_minimum": 10,
    "chargeback_rate": 20,
    "payout_destination_shared": 20,
    "self_referral": 20,
}

Day = tuple[str, str, date]
Tally = dict[Day, tuple[int, int]]


@dataclass
class _Seen:
    """One signal of one partner's day, before it is judged."""

    numerator: int
    denominator: int
    largest: int | None = None


def signal_rows(events: list[Event], told: list[Told], clicks: list[Row], payouts: list[Row], zone: str) -> list[Row]:
    """`fraud_signals_daily`."""
    told = [each for each in told if each.counts]
    seen: dict[str, dict[Day, _Seen]] = {name: {} for name in _WEIGHTS}
    for signal, judge in _conversion_signals(events).items():
        for each in told:
            verdict = judge(each)
            if verdict is not None:
                found = seen[signal].setdefault(_day(each), _Seen(0, 0))
                found.numerator += verdict
                found.denominator += 1
                found.largest = found.numerator if signal in _COUNTS else None
    seen["same_ip_24h"] = _together(told, "ip_hash", 3)
    seen["same_device_24h"] = _together(told, "fingerprint_hash", 2)
    seen["first_deposits_at_minimum"] = _at_minimum(told)
    seen["payout_destination_shared"] = _shared_destinations(events, payouts, zone)
    seen["conversion_rate_outlier"] = _rates(told, clicks)
    verdicts = _verdicts(told, zone)
    rows = []
    for signal, by_day in seen.items():
        if signal == "rejection_spike":
            rows += list(_spikes(verdicts))
            continue
        peers = _peers(by_day) if signal == "conversion_rate_outlier" else {}
        for day, found in by_day.items():
            past = [other for key, other in by_day.items() if key[:2] == day[:2] and _is_before(key[2], day[2], 1, 56)]
            rows.append(_judged(signal, day, found, past, peers))
    return rows


def _day(each: Told) -> Day:
    return each.row["source_id"], each.row["partner_id"], each.day


def _is_before(earlier: date, later: date, least: int, most: int) -> bool:
    return timedelta(days=least) <= later - earlier <= timedelta(days=most)


def _conversion_signals(events: list[Event]) -> dict[str, Callable[[Told], bool | None]]:
    charged_back = _charged_back(events)

    def is_short(each: Told) -> bool | None:
        seconds = each.row["seconds_click_to_conversion"]
        return None if seconds is None else seconds < 15

    def is_long(each: Told) -> bool | None:
        seconds = each.row["seconds_click_to_conversion"]
        return None if seconds is None else seconds > 86_400

    def is_elsewhere(each: Told) -> bool | None:
        country, declared = each.geo.get("country"), each.geo.get("declared_country")
        return None if country is None or declared is None else country != declared

    def is_clickless(each: Told) -> bool | None:
        if each.tracking.get("is_view_through") or each.tracking.get("coupon_code") is not None:
            return None
        return each.tracking.get("click_id") is None

    def stands_rejected_for(each: Told, reason: str) -> bool:
        return (each.row["status"], each.row["rejection_reason_code"]) == ("rejected", reason)

    def is_charged_back(each: Told) -> bool | None:
        key = each.row["source_id"], each.row["conversion_id"]
        return key in charged_back or stands_rejected_for(each, "chargeback")

    def is_own(each: Told) -> bool | None:
        return bool(each.row["customer_id"] == each.row["partner_id"]) or stands_rejected_for(each, "self_referral")

    return {
        "short_click_to_conversion": is_short,
        "long_click_to_conversion": is_long,
        "geo_mismatch": is_elsewhere,
        "conversions_without_click": is_clickless,
        "chargeback_rate": is_charged_back,
        "self_referral": is_own,
        "velocity": lambda _: True,
    }


def _charged_back(events: list[Event]) -> set[tuple[str, str]]:
    """Conversions of commissions with an adjustment of that type, as their newest event names them."""
    conversion_of: dict[tuple[str, str], str] = {}
    charged: set[tuple[str, str]] = set()
    for event in events:
        commission_id = event.at("commission.id")
        if commission_id is None or not event.type.startswith("commission."):
            continue
        key = event.source_id, commission_id
        if event.at("commission.conversion_id") is not None:
            conversion_of[key] = event.at("commission.conversion_id")
        if event.at("adjustment.type") == "chargeback":
            charged.add(key)
    return {(key[0], conversion_of[key]) for key in charged if key in conversion_of}


def _together(told: list[Told], hash_name: str, threshold: int) -> dict[Day, _Seen]:
    """How many accounts came from one address or device in the 24 hours up to each conversion, in whole seconds."""
    seen: dict[Day, _Seen] = {}
    hashed = [each for each in told if each.device.get(hash_name) is not None]
    for each in hashed:
        last = each.row["created_at"].replace(microsecond=0)
        accounts = {
            other.row["customer_id"] or other.row["conversion_id"]
            for other in hashed
            if other.device[hash_name] == each.device[hash_name]
            and _day(other)[:2] == _day(each)[:2]
            and timedelta(0) <= last - other.row["created_at"].replace(microsecond=0) <= timedelta(days=1)
        }
        found = seen.setdefault(_day(each), _Seen(0, 0, 0))
        found.numerator += len(accounts) >= threshold
        found.denominator += 1
        found.largest = max(found.largest or 0, len(accounts))
    return seen


def _at_minimum(told: list[Told]) -> dict[Day, _Seen]:
    """First deposits of no more than what has qualified as one in the 56 days before."""
    deposits = [
        each for each in told if each.row["conversion_type"] == "first_deposit" and each.row["value_amount"] is not None
    ]
    seen: dict[Day, _Seen] = {}
    for each in deposits:
        qualified = [
            other.row["value_amount"]
            for other in deposits
            if other.row["source_id"] == each.row["source_id"]
            and other.row["value_currency"] == each.row["value_currency"]
            and other.row["status"] == "qualified"
            and _is_before(other.day, each.day, 1, 56)
        ]
        if qualified:
            found = seen.setdefault(_day(each), _Seen(0, 0))
            found.numerator += each.row["value_amount"] <= min(qualified)
            found.denominator += 1
    return seen


def _shared_destinations(events: list[Event], payouts: list[Row], zone: str) -> dict[Day, _Seen]:
    destination = {
        (event.source_id, event.at("payout.id")): event.at("payout.destination_hash")
        for event in of_kind(events, "payout.scheduled", "payout.processing", "payout.completed", "payout.failed")
    }
    uses = []
    for row in payouts:
        times = [row[name] for name in ("scheduled_at", "processing_at", "completed_at", "failed_at") if row[name]]
        hashed = destination[row["source_id"], row["payout_id"]]
        if hashed is not None:
            uses.append((row["source_id"], row["partner_id"], local_day(min(times), zone), hashed))
    seen: dict[Day, _Seen] = {}
    for source_id, partner_id, day, hashed in set(uses):
        partners = {use[1] for use in uses if use[0] == source_id and use[3] == hashed and use[2] <= day}
        found = seen.setdefault((source_id, partner_id, day), _Seen(0, 0, 0))
        found.numerator += len(partners) >= 2
        found.denominator += 1
        found.largest = max(found.largest or 0, len(partners))
    return seen


def _rates(told: list[Told], clicks: list[Row]) -> dict[Day, _Seen]:
    unique: Counter[Day] = Counter()
    for click in clicks:
        if click["validity"] == "valid" and click["is_unique"]:
            unique[click["source_id"], click["partner_id"], click["click_date"]] += 1
    first = Counter(_day(each) for each in told if each.is_first)
    return {day: _Seen(first[day], count) for day, count in unique.items()}


def _peers(rates: dict[Day, _Seen]) -> dict[tuple[str, date], tuple[float, float]]:
    """Median and median deviation of the rates of a source's day, of those with 200 clicks."""
    by_day: dict[tuple[str, date], list[float]] = defaultdict(list)
    for day, found in rates.items():
        if found.denominator >= 200:
            by_day[day[0], day[2]].append(found.numerator / found.denominator)
    peers = {}
    for key, shares in by_day.items():
        median = percentile(shares, 50)
        peers[key] = median, percentile([abs(share - median) for share in shares], 50)
    return peers


def _judged(
    signal: str, day: Day, found: _Seen, past: list[_Seen], peers: dict[tuple[str, date], tuple[float, float]]
) -> Row:
    numerator, denominator = found.numerator, found.denominator
    value = share_of(numerator, denominator)
    baseline = share_of(sum(each.numerator for each in past), sum(each.denominator for each in past))
    z: float | None = None
    threshold: float
    if signal in _SHARES:
        threshold = _SHARES[signal]
        z = _z(numerator, denominator, past)
        is_breach = value is not None and value > threshold
    elif signal in _COUNTS:
        threshold = _COUNTS[signal]
        assert found.largest is not None
        value = float(found.largest)
        baseline = max((float(each.largest or 0) for each in past), default=None)
        is_breach = value >= threshold
    elif signal == "velocity":
        threshold = 3
        peak = max((each.numerator for each in past), default=None)
        value = None if peak is None else numerator / peak
        baseline = None if peak is None else float(peak)
        is_breach = numerator >= 10 and value is not None and value > threshold
        return _row(signal, day, (numerator, peak, value, baseline, float(threshold), None, is_breach))
    else:
        threshold = 4
        baseline = None
        if denominator >= 200:
            baseline, spread = peers[day[0], day[2]]
            z = 0.6745 * (numerator / denominator - baseline) / spread if spread else None
        is_breach = z is not None and z > threshold
    return _row(signal, day, (numerator, denominator, value, baseline, float(threshold), z, is_breach))


def _z(numerator: int, denominator: int, past: list[_Seen]) -> float | None:
    trials = sum(each.denominator for each in past)
    if not trials or not denominator:
        return None
    expected = (sum(each.numerator for each in past) + 1) / (trials + 2)
    return (numerator / denominator - expected) / math.sqrt(expected * (1 - expected) / denominator)


def _row(signal: str, day: Day, measures: tuple[Any, ...]) -> Row:
    return dict(zip(SIGNAL_COLUMNS, (*day, signal, *measures), strict=True))


def _verdicts(told: list[Told], zone: str) -> dict[Day, _Seen]:
    seen: dict[Day, _Seen] = {}
    for each in told:
        status = each.row["status"]
        moment = {"rejected": each.row["last_rejected_at"], "qualified": each.row["first_qualified_at"]}.get(status)
        if moment is not None:
            found = seen.setdefault((*_day(each)[:2], local_day(moment, zone)), _Seen(0, 0))
            found.numerator += status == "rejected"
            found.denominator += 1
    return seen


def _spikes(verdicts: dict[Day, _Seen]) -> Iterator[Row]:
    """The seven days that end with each day of a verdict, against the 56 before them."""
    for day in verdicts:
        own = {key[2]: found for key, found in verdicts.items() if key[:2] == day[:2]}
        week = [found for other, found in own.items() if _is_before(other, day[2], 0, 6)]
        past = [found for other, found in own.items() if _is_before(other, day[2], 7, 62)]
        numerator, denominator = sum(each.numerator for each in week), sum(each.denominator for each in week)
        baseline = share_of(sum(each.numerator for each in past), sum(each.denominator for each in past))
        z = _z(numerator, denominator, past)
        value = share_of(numerator, denominator)
        yield _row("rejection_spike", day, (numerator, denominator, value, baseline, 3.0, z, z is not None and z > 3))


def scorecard_rows(partners: list[Row], signals: list[Row], statement: list[Row]) -> list[Row]:
    """`fraud_scorecard`: the breaches of the last thirty days that have any signal of the partner."""
    last_month = max((row["month"] for row in statement), default=None)
    rows = []
    for partner in partners:
        key = partner["source_id"], partner["partner_id"]
        own = [row for row in signals if (row["source_id"], row["partner_id"]) == key]
        newest = max((row["event_date"] for row in own), default=None)
        breaches = [
            row
            for row in own
            if row["is_breach"] and newest is not None and _is_before(row["event_date"], newest, 0, 29)
        ]
        names = sorted({row["signal"] for row in breaches})
        balances = [
            row for row in statement if (row["source_id"], row["partner_id"]) == key and row["month"] == last_month
        ]
        is_rate_missing = any(row["pending_rc"] is None or row["payable_rc"] is None for row in balances)
        values = (
            *key,
            min(100, sum(_WEIGHTS[name] for name in names)),
            ", ".join(names) or None,
            len(names),
            len(breaches),
            None if is_rate_missing else sum((row["pending_rc"] + row["payable_rc"] for row in balances), Decimal(0)),
            is_rate_missing,
            newest,
        )
        rows.append(dict(zip(SCORECARD_COLUMNS, values, strict=True)))
    return rows
