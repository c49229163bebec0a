"""The oracle's partner economics, and what is told of its rows: who weighs how much, what parents earn on children."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal

from tests.oracle_economics import Economics, Key, following, fraction, grouped_rows, minus, plus, total, worth
from tests.oracle_events import Row, grouped, of_kind, read_money

_STATUS = {"registered": "pending", "approved": "active", "suspended": "suspended", "terminated": "terminated"}
_METRICS: dict[str, Callable[[Row], Decimal | None]] = {
    "unique_clicks": lambda row: Decimal(row["unique_clicks"]),
    "conversions": lambda row: Decimal(row["conversions"]),
    "first_deposits": lambda row: Decimal(row["first_deposits"]),
    "player_revenue": lambda row: row["player_revenue_rc"],
    "net_commission": lambda row: plus(row["commission_rc"], row["override_earned_rc"], row["adjustment_rc"]),
}


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


def program_concentration(rows: list[Row]) -> list[Row]:
    """From the rows of partner_economics."""
    found = []
    for (source_id, month), group in grouped_rows(rows, lambda row: (row["source_id"], row["month"])).items():
        for metric, value in _METRICS.items():
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
