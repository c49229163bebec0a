"""What customers of a played programme do: the conversion that a step of a deal makes, and what is earned by it."""

from datetime import datetime
from decimal import Decimal
from enum import Enum
from random import Random

from simulator.cast import Member
from simulator.commissions import Commission
from simulator.conversions import Conversion, Customer
from simulator.deals import Earning, Step, Tier
from simulator.journal import Journal
from simulator.visits import Visit
from simulator.wire import JsonObject, money, price, rounded, share

_OVERRIDE_PERCENTS = (Decimal(10), Decimal(3))
"""Of what a sub-affiliate earns: to the partner above, and to the one above that."""


class Luck(Enum):
    """What a customer spends."""

    smallest = "smallest"
    any = "any"
    large = "large"


def convert(
    rng: Random,
    journal: Journal,
    member: Member,
    customer: Customer,
    visit: Visit,
    step: Step,
    at: datetime,
    parent: Conversion | None,
    *,
    number: int = 1,
    luck: Luck = Luck.any,
    is_live: bool = True,
) -> Conversion:
    """The conversion of *step*: for the first time, or as its repetition *number* from 2 on."""
    # A share of the value can only be owed in the currency of the value.
    currency = member.profile.currency if member.profile.deal.is_in_one_currency else visit.currency
    value = None
    if step.values:
        value = price(Decimal(_drawn(rng, step.values[0], step.values[-1], luck)), currency)
    return Conversion(
        conversion_id=journal.name("cnv"),
        conversion_type=step.conversion_type if number == 1 else str(step.repeats),
        member=member,
        customer=customer,
        visit=visit,
        occurred_at=at,
        parent_id=parent.conversion_id if parent else None,
        is_first=number == 1,
        kind=step.kind,
        value=value,
        currency=currency,
        details=_details(rng, step.kind, value, currency, number),
        has_deposit=step.kind == "deposit",
        is_live=is_live,
    )


def owed(conversion: Conversion, earning: Earning, tier: Tier) -> Decimal:
    """What is owed for *conversion*, as it is now, to a partner in *tier*."""
    currency = conversion.member.profile.currency
    rate = earning.rate(tier, currency)
    if _is_share(conversion, earning):
        return share(conversion.value or Decimal(0), rate, currency)
    return rounded(rate * _quantity(conversion), currency)


def earn(journal: Journal, conversion: Conversion, earning: Earning, at: datetime, hold_days: int) -> list[Commission]:
    """The commission that is owed for *conversion*, then what those above are owed for it; nothing is written yet."""
    member = conversion.member
    currency, value = member.profile.currency, conversion.value
    tier = member.tier(at)
    is_share = _is_share(conversion, earning)
    commission = Commission(
        commission_id=journal.name("cms"),
        member=member,
        conversion=conversion,
        model=earning.model,
        component=earning.component,
        rate=earning.rate_view(tier, currency),
        amount=owed(conversion, earning, tier),
        calculated_at=at,
        hold_days=hold_days,
        basis={"kind": conversion.kind, "amount": money(value, currency)} if is_share and value is not None else None,
        quantity=_quantity(conversion),
    )
    return [commission, *_overrides(journal, commission, at)]


def _is_share(conversion: Conversion, earning: Earning) -> bool:
    return earning.rate_type == "percent" and conversion.value is not None


def _quantity(conversion: Conversion) -> Decimal:
    return Decimal(str(conversion.details.get("trade_volume_lots", "1")))


def _overrides(journal: Journal, commission: Commission, at: datetime) -> list[Commission]:
    found: list[Commission] = []
    above = commission.member.parent
    for level, percent in enumerate(_OVERRIDE_PERCENTS, 1):
        if above is None:
            break
        amount = share(commission.amount, percent, commission.currency)
        if above.is_active(at) and amount:
            found.append(
                Commission(
                    commission_id=journal.name("cms"),
                    member=above,
                    conversion=commission.conversion,
                    model="override",
                    component="override",
                    rate={"type": "percent", "value": format(percent, "f"), "unit": "%"},
                    amount=amount,
                    calculated_at=at,
                    hold_days=commission.hold_days,
                    basis={
                        "kind": "sub_affiliate_commission",
                        "amount": money(commission.amount, commission.currency),
                    },
                    source=commission,
                    level=level,
                )
            )
        above = above.parent
    return found


def _drawn(rng: Random, lowest: int, highest: int, luck: Luck) -> int:
    if luck is Luck.large:
        return rng.randint((lowest + highest) // 2, highest)
    return lowest if luck is Luck.smallest or rng.random() < 0.1 else rng.randint(lowest, highest)


def _details(rng: Random, kind: str, value: Decimal | None, currency: str, number: int) -> JsonObject:
    if kind == "deposit":
        return {"deposit_method": rng.choice(("card", "bank", "e_wallet")), "deposit_number": number}
    if kind == "trade":
        return {
            "trade_volume_lots": format(Decimal(rng.randint(300, 2500)).scaleb(-2), "f"),
            "instrument_class": rng.choice(("fx", "metals", "indices")),
            "account_type": rng.choice(("standard", "raw_spread")),
        }
    if kind == "challenge_purchase" and value is not None:
        return {
            "challenge": {
                "product_id": "two_step_50k",
                "account_size": "50000",
                "fee": money(value, currency),
                "discount": None,
                "phase": "1",
                "is_reset": number > 1,
                "attempt_no": number,
            }
        }
    if kind == "subscription_payment" and value is not None:
        monthly = {"plan_id": "team", "interval": "month", "payment_no": number, "mrr": money(value, currency)}
        return {"subscription": monthly}
    return {}
