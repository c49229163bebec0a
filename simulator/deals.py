"""The deals that the played programme offers: what a customer does, what qualifies, and what the partner earns."""

from dataclasses import dataclass
from decimal import Decimal

from simulator.wire import JsonObject, price


@dataclass(frozen=True, slots=True)
class Tier:
    tier_id: str
    name: str
    rank: int

    def view(self) -> JsonObject:
        return {"id": self.tier_id, "name": self.name, "rank": self.rank}


BRONZE, SILVER, GOLD = Tier("tier_1", "Bronze", 1), Tier("tier_2", "Silver", 2), Tier("tier_3", "Gold", 3)


@dataclass(frozen=True, slots=True)
class Deal:
    """
    One plan.

    Attributes:
        opening: Conversion type of the first step, if there is one before the *main* step that earns.
        repeat: Conversion type of what a customer may do again later.
        repeat_mean: How often, on average.
        repeat_earns: Whether a repetition earns as the main step does.
        kind: Of the qualifying event.
        rate_type: `flat` per conversion and `per_lot` are in euros before pricing; `percent` is of the value.
        rates: By tier, Bronze first.
        revshare: Percentages by tier of a second, monthly component; empty without one.
        values: Lowest and highest value of the main step, in euros before pricing.
    """

    plan_id: str
    plan_version: str
    vertical: str
    offer_id: str
    opening: str | None
    main: str
    repeat: str
    repeat_mean: float
    repeat_earns: bool
    kind: str
    model: str
    rate_type: str
    rates: tuple[Decimal, Decimal, Decimal]
    revshare: tuple[Decimal, ...]
    values: tuple[int, int]
    rule_id: str
    window_days: int

    def rate(self, tier: Tier, currency: str) -> Decimal:
        """The rate at *tier*: a percentage, or money in *currency*."""
        value = self.rates[tier.rank - 1]
        return value if self.rate_type == "percent" else price(value, currency)

    def rate_view(self, tier: Tier, currency: str) -> JsonObject:
        unit = {"percent": "%", "flat": currency, "per_lot": f"{currency}/lot"}[self.rate_type]
        return {"type": self.rate_type, "value": format(self.rate(tier, currency), "f"), "unit": unit}

    def revshare_view(self, tier: Tier) -> JsonObject:
        return {"type": "percent", "value": format(self.revshare[tier.rank - 1], "f"), "unit": "%"}


def _by_tier(bronze: int, silver: int, gold: int) -> tuple[Decimal, Decimal, Decimal]:
    return Decimal(bronze), Decimal(silver), Decimal(gold)


CASINO_HYBRID = Deal(
    plan_id="plan_casino_hybrid",
    plan_version="4",
    vertical="igaming",
    offer_id="off_casino_eu",
    opening="registration",
    main="first_deposit",
    repeat="deposit",
    repeat_mean=0.4,
    repeat_earns=False,
    kind="deposit",
    model="cpa",
    rate_type="flat",
    rates=_by_tier(110, 130, 150),
    revshare=_by_tier(25, 30, 35),
    values=(25, 300),
    rule_id="ftd_min_20_wager_1x",
    window_days=30,
)
CASINO_CPA = Deal(
    plan_id="plan_casino_cpa",
    plan_version="2",
    vertical="igaming",
    offer_id="off_casino_row",
    opening="registration",
    main="first_deposit",
    repeat="deposit",
    repeat_mean=0.3,
    repeat_earns=False,
    kind="deposit",
    model="cpa",
    rate_type="flat",
    rates=_by_tier(90, 105, 120),
    revshare=(),
    values=(20, 220),
    rule_id="ftd_min_20",
    window_days=14,
)
BROKER_REBATE = Deal(
    plan_id="plan_broker_rebate",
    plan_version="7",
    vertical="forex",
    offer_id="off_broker_pro",
    opening="registration",
    main="first_trade",
    repeat="trade",
    repeat_mean=1.2,
    repeat_earns=True,
    kind="trade",
    model="lot_rebate",
    rate_type="per_lot",
    rates=_by_tier(6, 7, 8),
    revshare=(),
    values=(400, 4000),
    rule_id="trade_min_1_lot",
    window_days=60,
)
CHALLENGE_SHARE = Deal(
    plan_id="plan_challenge_share",
    plan_version="1",
    vertical="prop_trading",
    offer_id="off_challenge_50k",
    opening=None,
    main="challenge_purchase",
    repeat="challenge_reset",
    repeat_mean=0.5,
    repeat_earns=True,
    kind="challenge_purchase",
    model="challenge_fee_share",
    rate_type="percent",
    rates=_by_tier(15, 18, 20),
    revshare=(),
    values=(150, 550),
    rule_id="challenge_paid",
    window_days=14,
)
SOFTWARE_SHARE = Deal(
    plan_id="plan_software_share",
    plan_version="3",
    vertical="saas",
    offer_id="off_workspace",
    opening="trial_start",
    main="subscription_start",
    repeat="subscription_renewal",
    repeat_mean=1.0,
    repeat_earns=True,
    kind="subscription_payment",
    model="revshare",
    rate_type="percent",
    rates=_by_tier(25, 30, 35),
    revshare=(),
    values=(29, 249),
    rule_id="first_payment_settled",
    window_days=30,
)
