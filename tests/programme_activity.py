"""What stands beside a random programme: activity of customers, spend on partners, rates, and stories of plans."""

import random
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from tests.oracle_economics import EconomicInputs
from tests.programme_events import Json

_BEGIN, _DAYS = date(2026, 1, 1), 330


def economic_inputs(
    seed: int, *, sources: Sequence[str] = ("acme", "zenith"), with_rates: bool = True
) -> EconomicInputs:
    """
    A year of activity and spend.

    Some of it is of customers and partners that nobody knows, in currencies that at times have no rate, with parts left
    out; dinars have three decimals, and yen none.

    The last source is silent about its activity in the first and the last months.
    """
    rng = random.Random(f"activity/{seed}")
    quotes: dict[tuple[date, str], Decimal] = {}
    for currency, middle, share in (
        ("USD", "0.92", 0.95), ("JPY", "0.00611", 0.95), ("BTC", "61234.5", 0.95), ("KWD", "2.987654", 0.4),
    ):  # fmt: skip
        for age in range(0, _DAYS, 7):
            if with_rates and rng.random() < share:
                change = 1 + Decimal(rng.randint(-500, 500)) / 10_000
                quotes[_BEGIN + timedelta(days=age), currency] = (Decimal(middle) * change).quantize(
                    Decimal("0.00000001")
                )
    activity: dict[tuple[Any, ...], Json] = {}
    spend: dict[tuple[Any, ...], Json] = {}
    for source in sources:
        first, last = (0, _DAYS) if source != sources[-1] else (70, 250)
        for _ in range(160):
            row = {
                "source_id": source,
                "customer_id": f"ply_{rng.randint(0, 30)}",
                "activity_date": _BEGIN + timedelta(days=rng.randint(first, last)),
                "currency": rng.choice(("EUR", "EUR", "EUR", "USD") if source != "gulf" else ("KWD", "JPY", "EUR")),
                **{
                    part: Decimal(rng.choice(("0", "10.5", "-30.25", "99.99", "0.125"))) if rng.random() < 0.8 else None
                    for part in ("ggr", "bonus_cost", "gaming_tax", "payment_fees")
                },
                "is_active": rng.choice((True, None, False)),
            }
            activity[tuple(row[name] for name in ("source_id", "customer_id", "activity_date", "currency"))] = row
        for _ in range(40):
            campaign = rng.choice((None, None, "cmp_1"))
            row = {
                "spend_date": _BEGIN + timedelta(days=rng.randint(0, _DAYS)),
                "source_id": source,
                "partner_id": f"ptn_{rng.randint(0, 9)}" if campaign is None else None,
                "campaign_id": campaign,
                "amount": Decimal(rng.choice(("5", "17.5", "0"))),
                "currency": rng.choice(("EUR", "EUR", "USD")),
            }
            names = ("spend_date", "source_id", "partner_id", "campaign_id", "currency")
            spend[tuple(row[name] for name in names)] = row
    return EconomicInputs(list(activity.values()), list(spend.values()), quotes)


def plan_stories(source: str = "acme") -> list[Json]:
    """
    Revenue share of two partners under a parent who earns overrides on both levels, and a retroactive tier.

    Two plans in one month, a rate that changes within a period, an override without a child, and one adjusted.
    """
    posts: list[Json] = []

    def post(event_type: str, at: str, partner: str, **data: Any) -> None:
        snapshot = {"id": partner, "parent_id": None if partner == "boss" else "boss"}
        posts.append(
            {
                "source": source,
                "id": f"plan_{len(posts)}",
                "type": event_type,
                "schema_version": "1.0",
                "timestamp": f"{at}T12:00:00Z",
                "data": {"partner": snapshot, **data},
            }
        )

    def earn(at: str, partner: str, commission_id: str, amount: str, **fields: Any) -> Json:
        commission = {
            "id": commission_id,
            "model": "revshare",
            "amount": {"amount": amount, "currency": "EUR"},
            "plan_id": "plan_a",
            "rate": {"type": "percent", "value": "30", "unit": "%"},
            **fields,
        }
        post("commission.calculated", at, partner, commission=commission)
        return commission

    def adjust(at: str, partner: str, commission: Json | None, kind: str, delta: str) -> None:
        adjustment = {
            "id": f"plan_adj_{len(posts)}",
            "type": kind,
            "amount_delta": {"amount": delta, "currency": "EUR"},
        }
        post("commission.adjusted", at, partner, commission=commission, adjustment=adjustment)

    for number, partner in enumerate(("kid", "tot")):
        for customer in range(3):
            conversion = {
                "id": f"plan_cnv_{partner}_{customer}",
                "type": "first_deposit",
                "occurred_at": f"2026-0{customer + 2}-10T12:00:00Z",
                "value": {"amount": "50", "currency": "EUR"},
            }
            post(
                "conversion.qualified",
                f"2026-0{customer + 2}-11",
                partner,
                conversion=conversion,
                customer={"id": f"ply_{20 + 3 * number + customer}"},
                qualification={"qualified_at": f"2026-0{customer + 2}-11T12:00:00Z"},
            )
    april = {"start": "2026-04-01", "end": "2026-04-30"}
    first = earn("2026-05-02", "kid", "plan_1", "300", period=april)
    adjust("2026-05-20", "kid", first, "correction", "-12.5")
    earn("2026-05-02", "tot", "plan_2", "80", period=april, customer_id="ply_23")
    earn("2026-05-03", "tot", "plan_3", "20", period=april, plan_id="plan_b")
    earn("2026-06-02", "tot", "plan_4", "90")
    earn("2026-06-03", "tot", "plan_5", "10", rate={"type": "percent", "value": "35", "unit": "%"})
    for level, child in ((1, "kid"), (2, "tot"), (1, None)):
        override = earn(
            "2026-05-04", "boss", f"plan_o{level}{child}", "15.25", model="override",
            conversion_id="plan_cnv_kid_0" if child is None else None,
            sub_affiliate={"level": level, "source_partner_id": child},
        )  # fmt: skip
    adjust("2026-05-05", "boss", override, "clawback", "-5")
    for change_id, day, rate in (("plan_t1", "2026-06-01", "40"), ("plan_t2", "2026-08-01", "45")):
        change = {
            "id": change_id,
            "plan_id": "plan_a",
            "previous_tier": {"id": "one", "rate": {"type": "percent", "value": "30", "unit": "%"}},
            "new_tier": {"id": "two", "name": "Two", "rate": {"type": "percent", "value": rate, "unit": "%"}},
            "effective_from": day,
            "is_retroactive": change_id == "plan_t1",
            "retroactive_from": "2026-05-01" if change_id == "plan_t1" else None,
            "direction": "up",
        }
        post("commission.tier_changed", day, "kid", tier_change=change)
    adjust("2026-06-05", "kid", None, "retro_tier", "90")
    adjust("2026-08-05", "kid", None, "retro_tier", "7")
    return posts
