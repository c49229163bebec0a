"""What customers of the played programme do: the conversion that a step of a deal makes, and what is earned by it."""

from datetime import datetime
from decimal import Decimal
from random import Random

from simulator.cast import Member
from simulator.commissions import Commission
from simulator.conversions import Conversion, Customer
from simulator.journal import Journal
from simulator.visits import Visit
from simulator.wire import JsonObject, money, price, rounded

_OVERRIDE_PERCENT = Decimal(10)
_HOLD_DAYS = (7, 10, 14)


def opening_step(journal: Journal, kind: str, member: Member, customer: Customer, visit: Visit) -> Conversion:
    """The registration or trial start that comes before anything is earned."""
    return Conversion(
        conversion_id=journal.name("cnv"),
        conversion_type=kind,
        member=member,
        customer=customer,
        visit=visit,
        occurred_at=customer.registered_at,
        parent_id=None,
        is_first=True,
        kind="registration",
        value=None,
        currency=visit.currency,
        details={},
    )


def earning_step(
    rng: Random,
    journal: Journal,
    member: Member,
    customer: Customer,
    visit: Visit,
    at: datetime,
    parent: Conversion | None,
    number: int,
) -> Conversion:
    """The step numbered *number* that the deal pays for: 1 is the main one, the rest are repetitions."""
    deal = member.profile.deal
    # A share of the value can only be owed in the currency of the value.
    currency = member.profile.currency if deal.rate_type == "percent" else visit.currency
    lowest, highest = deal.values
    euros = lowest if rng.random() < 0.15 else rng.randint(lowest, highest)
    value = price(Decimal(euros), currency)
    return Conversion(
        conversion_id=journal.name("cnv"),
        conversion_type=deal.main if number == 1 else deal.repeat,
        member=member,
        customer=customer,
        visit=visit,
        occurred_at=at,
        parent_id=parent.conversion_id if parent else None,
        is_first=number == 1,
        kind=deal.kind,
        value=value,
        currency=currency,
        details=_details(rng, deal.kind, value, currency, number),
        has_deposit=deal.kind == "deposit",
    )


def earn(rng: Random, journal: Journal, conversion: Conversion, at: datetime) -> list[Commission]:
    """The commission that the deal owes for *conversion*, then its parent's override; nothing is written yet."""
    member = conversion.member
    deal, currency, value = member.profile.deal, member.profile.currency, conversion.value
    tier = member.tier(at)
    rate = deal.rate(tier, currency)
    quantity = Decimal(str(conversion.details.get("trade_volume_lots", "1")))
    is_share = deal.rate_type == "percent" and value is not None
    owed = share(value or Decimal(0), rate, currency) if is_share else rounded(rate * quantity, currency)
    commission = Commission(
        commission_id=journal.name("cms"),
        member=member,
        conversion=conversion,
        model=deal.model,
        component=deal.model,
        rate=deal.rate_view(tier, currency),
        amount=owed,
        calculated_at=at,
        hold_days=rng.choice(_HOLD_DAYS),
        basis={"kind": deal.kind, "amount": money(value, currency)} if is_share and value is not None else None,
        quantity=quantity,
    )
    if member.parent is None or not member.parent.is_active(at):
        return [commission]
    override = Commission(
        commission_id=journal.name("cms"),
        member=member.parent,
        conversion=conversion,
        model="override",
        component="override",
        rate={"type": "percent", "value": format(_OVERRIDE_PERCENT, "f"), "unit": "%"},
        amount=share(owed, _OVERRIDE_PERCENT, currency),
        calculated_at=at,
        hold_days=commission.hold_days,
        basis={"kind": "sub_affiliate_commission", "amount": money(owed, currency)},
        source=commission,
    )
    return [commission, override]


def share(amount: Decimal, percent: Decimal, currency: str) -> Decimal:
    """*percent* of *amount*, in whole smallest units of *currency*."""
    return rounded(amount * percent / Decimal(100), currency)


def _details(rng: Random, kind: str, value: Decimal, currency: str, number: int) -> JsonObject:
    if kind == "deposit":
        return {"deposit_method": rng.choice(("card", "bank", "e_wallet")), "deposit_number": number}
    if kind == "trade":
        return {
            "trade_volume_lots": format(Decimal(rng.randint(300, 2500)).scaleb(-2), "f"),
            "instrument_class": rng.choice(("fx", "metals", "indices")),
            "account_type": rng.choice(("standard", "raw_spread")),
        }
    if kind == "challenge_purchase":
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
    monthly = {"plan_id": "team", "interval": "month", "payment_no": number, "mrr": money(value, currency)}
    return {"subscription": monthly}
