"""The oracle's plans: revenue share period by period, and what a change of tier did."""

from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext

from tests.oracle_economics import PARTS, Economics, fraction, minus, ngr, total, worth
from tests.oracle_events import Event, Row, of_kind
from tests.oracle_ledger import EARNED_TYPES

_EIGHT = Decimal("0.00000001")


def revshare(economics: Economics) -> list[Row]:
    """`revshare_monthly`."""
    groups: dict[tuple[str, str, str, date], list[Row]] = {}
    for row in economics.entries:
        commission = row["commission"]
        if commission is None:
            continue
        is_share = commission["model"] == "revshare" or (
            commission["model"] == "hybrid" and commission["component"] == "revshare"
        )
        if is_share:
            key = row["source_id"], row["partner_id"], commission["plan_id"] or "(none)", _period(economics, row)
            groups.setdefault(key, []).append(row)
    found = []
    for (source_id, partner_id, plan_id, month), group in groups.items():
        percentages = {
            Decimal(row["commission"]["rate"]["value"]) if row["commission"]["rate"].get("type") == "percent" else None
            for row in group
        }
        percentage = percentages.pop() if len(percentages) == 1 else None
        is_alone = sum(key[:2] == (source_id, partner_id) and key[3] == month for key in groups) == 1
        has_activity = economics.has_activity(source_id, month)
        days = [
            row
            for row in economics.activity
            if row["customer"]
            and (row["source_id"], row["customer"]["partner_id"], row["month"]) == (source_id, partner_id, month)
        ]
        is_known = has_activity and is_alone
        parts = {part: _part(days, part) if is_known else None for part in PARTS}
        revenue = worth(days) if is_known else None
        expected = None
        if revenue is not None and percentage is not None:
            expected = (revenue * percentage / 100).quantize(_EIGHT, ROUND_HALF_UP)
        booked = total(row["rc"] for row in group)
        found.append(
            {
                "source_id": source_id,
                "partner_id": partner_id,
                "plan_id": plan_id,
                "period_month": month,
                "commissions": len({row["commission_id"] for row in group}),
                **{f"{part}_rc": amount for part, amount in parts.items()},
                "ngr_rc": revenue,
                "rate": fraction(percentage, 100),
                "expected_rc": expected,
                "booked_rc": booked,
                "variance_rc": minus(booked, expected),
                "has_player_activity": has_activity,
            }
        )
    return found


def _period(economics: Economics, row: Row) -> date:
    if row["commission"]["period_start"]:
        return date.fromisoformat(row["commission"]["period_start"]).replace(day=1)
    own = [
        each["effective_date"]
        for each in economics.entries
        if (each["source_id"], each["commission_id"]) == (row["source_id"], row["commission_id"])
    ]
    first: date = min(own)
    return first.replace(day=1)


def _part(days: list[Row], part: str) -> Decimal | None:
    if not days:
        return Decimal(0)
    known = [row[f"{part}_rc"] for row in days if row[f"{part}_rc"] is not None]
    return None if any(row["lacks_a_rate"] for row in days) or not known else sum(known, Decimal(0))


def tier_impact(economics: Economics) -> list[Row]:
    """`tier_impact`."""
    newest: dict[tuple[str, str], Event] = {}
    for event in of_kind(economics.events, "commission.tier_changed"):
        if (event.source_id, event.partner_id) in economics.known:
            newest[event.source_id, event.at("tier_change.id")] = event
    days = [row["effective_date"] for row in economics.marts["commission_ledger"]]
    days += [economics.day(row["created_at"]) for row in economics.counted]
    return [_impact(economics, event, list(newest.values()), max(days, default=date.min)) for event in newest.values()]


def _impact(economics: Economics, event: Event, changes: list[Event], newest_day: date) -> Row:
    source_id, partner_id, plan_id = event.source_id, event.partner_id, event.at("tier_change.plan_id")
    since = _effective(event)
    before, after = (since - timedelta(days=30), since), (since, since + timedelta(days=30))
    entries = [row for row in economics.entries if (row["source_id"], row["partner_id"]) == (source_id, partner_id)]
    earned = [row for row in entries if row["entry_type"] in EARNED_TYPES]
    made = [
        economics.day(row["created_at"])
        for row in economics.counted
        if (row["source_id"], row["partner_id"]) == (source_id, partner_id)
    ]
    is_retroactive = event.at("tier_change.is_retroactive") is True
    received = expected = None
    if is_retroactive:
        later = sorted(
            (_effective(each), each.order_key)
            for each in changes
            if (each.source_id, each.partner_id, each.at("tier_change.plan_id")) == (source_id, partner_id, plan_id)
        )
        place = later.index((since, event.order_key))
        until = later[place + 1][0] if place + 1 < len(later) else date.max
        received = total(
            row["rc"]
            for row in entries
            if row["adjustment_type"] == "retro_tier" and since <= row["effective_date"] < until
        )
        expected = _expected(event, earned, since)
    previous, new = event.at("tier_change.previous_tier") or {}, event.at("tier_change.new_tier")
    retroactive_from = event.at("tier_change.retroactive_from")
    return {
        "source_id": source_id,
        "tier_change_id": event.at("tier_change.id"),
        "partner_id": partner_id,
        "plan_id": plan_id,
        "source_event_id": event.event_id,
        "previous_tier": previous.get("name") or previous.get("id"),
        "new_tier": new.get("name") or new.get("id"),
        "direction": event.at("tier_change.direction"),
        "conversions_before": sum(before[0] <= day < before[1] for day in made),
        "conversions_after": sum(after[0] <= day < after[1] for day in made),
        "commission_before_rc": total(row["rc"] for row in earned if before[0] <= row["effective_date"] < before[1]),
        "commission_after_rc": total(row["rc"] for row in earned if after[0] <= row["effective_date"] < after[1]),
        "player_revenue_before_rc": _revenue(economics, source_id, partner_id, before),
        "player_revenue_after_rc": _revenue(economics, source_id, partner_id, after),
        "retro_expected_rc": expected,
        "retro_received_rc": received,
        "retro_variance_rc": minus(received, expected),
        "is_retroactive": is_retroactive,
        "is_complete": newest_day >= after[1] - timedelta(days=1),
        "effective_from": since,
        "retroactive_from": None if retroactive_from is None else date.fromisoformat(retroactive_from),
    }


def _effective(event: Event) -> date:
    return date.fromisoformat(event.at("tier_change.effective_from"))


def _revenue(economics: Economics, source_id: str, partner_id: str, days: tuple[date, date]) -> Decimal | None:
    loaded = [row["activity_date"] for row in economics.inputs.activity if row["source_id"] == source_id]
    if not loaded or min(loaded) > days[0] or max(loaded) < days[1] - timedelta(days=1):
        return None
    own = [
        row
        for row in economics.activity
        if row["customer"]
        and (row["source_id"], row["customer"]["partner_id"]) == (source_id, partner_id)
        and days[0] <= row["activity_date"] < days[1]
        and row["has_amount"]
    ]
    return total(ngr({part: row[f"{part}_rc"] for part in PARTS}) for row in own)


def _expected(event: Event, earned: list[Row], since: date) -> Decimal | None:
    old, new = (event.at(f"tier_change.{which}_tier.rate") or {} for which in ("previous", "new"))
    begin = event.at("tier_change.retroactive_from")
    if begin is None or not old.get("value") or old.get("type") != new.get("type") or Decimal(old["value"]) <= 0:
        return None
    plan_id = event.at("tier_change.plan_id")
    amount = total(
        row["rc"]
        for row in earned
        if date.fromisoformat(begin) <= row["effective_date"] < since
        and row["commission"]["rate"].get("value") is not None
        and Decimal(row["commission"]["rate"]["value"]) == Decimal(old["value"])
        and (plan_id is None or row["commission"]["plan_id"] == plan_id)
    )
    if amount is None or not new.get("value"):
        return None
    with localcontext() as context:
        context.prec = 80
        return (amount * Decimal(new["value"]) / Decimal(old["value"])).quantize(_EIGHT, ROUND_HALF_UP) - amount
