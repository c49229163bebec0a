"""The deals that a played programme offers: what a customer does, what qualifies, and what the partner earns."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from simulator.wire import JsonObject, price


@dataclass(frozen=True, slots=True)
class Tier:
    tier_id: str
    name: str
    rank: int

    def view(self) -> JsonObject:
        return {"id": self.tier_id, "name": self.name, "rank": self.rank}


BRONZE, SILVER, GOLD = Tier("tier_1", "Bronze", 1), Tier("tier_2", "Silver", 2), Tier("tier_3", "Gold", 3)

RateType = Literal["flat", "per_lot", "percent"]
Worth = Literal["gaming", "trading", "payments"]


@dataclass(frozen=True, slots=True)
class Earning:
    """
    What a partner is owed for a step, or for a month.

    Attributes:
        model: The contract's `commission.model`; a hybrid deal has two earnings under the model `hybrid`.
        component: Which part of the deal it is.
        rate_type: `flat` per conversion and `per_lot` are in euros before pricing; `percent` is of the value.
        rates: By tier, Bronze first.
    """

    model: str
    component: str
    rate_type: RateType
    rates: tuple[Decimal, Decimal, Decimal]

    def rate(self, tier: Tier, currency: str) -> Decimal:
        """The rate at *tier*: a percentage, or money in *currency*."""
        value = self.rates[tier.rank - 1]
        return value if self.rate_type == "percent" else price(value, currency)

    def rate_view(self, tier: Tier, currency: str) -> JsonObject:
        unit = {"percent": "%", "flat": currency, "per_lot": f"{currency}/lot"}[self.rate_type]
        return {"type": self.rate_type, "value": format(self.rate(tier, currency), "f"), "unit": unit}


@dataclass(frozen=True, slots=True)
class Step:
    """
    One thing that a customer does on the way.

    Attributes:
        conversion_type: What it is as a conversion.
        kind: Of the qualifying event.
        chance: That a customer who took the step before takes this one.
        hours: Shortest and longest time since the step before; the first one follows the click by minutes.
        values: Lowest and highest value, in euros before pricing; empty where it has none.
        earning: None for a step that is not paid for.
        is_judged: Whether it may be rejected; a customer who is goes no further.
        repeats: The conversion type of doing it again, every month or so.
        repeat_mean: How often, on average.
        repeat_earns: Whether a repetition earns as the step does.
    """

    conversion_type: str
    kind: str
    chance: float = 1.0
    hours: tuple[int, int] = (2, 120)
    values: tuple[int, ...] = ()
    earning: Earning | None = None
    is_judged: bool = False
    repeats: str | None = None
    repeat_mean: float = 0.0
    repeat_earns: bool = False


@dataclass(frozen=True, slots=True)
class Deal:
    """
    One plan.

    Attributes:
        hold_days: How long a commission is held back before it is approved: one of these.
        steps: In their order; exactly the steps that are judged decide about a customer.
        monthly: The share of what the customers were worth, booked after each month; None without one.
        worth: Where the operator's revenue comes from.
    """

    plan_id: str
    plan_version: str
    vertical: str
    offer_id: str
    rule_id: str
    window_days: int
    hold_days: tuple[int, ...]
    steps: tuple[Step, ...]
    worth: Worth
    monthly: Earning | None = None

    @property
    def main(self) -> Earning | None:
        """What a tier's rate is told by."""
        return next((step.earning for step in self.steps if step.earning), self.monthly)

    @property
    def is_in_one_currency(self) -> bool:
        """Whether customers have to pay in the currency of the commissions, since a share can only be owed in it."""
        earnings = (self.monthly, *(step.earning for step in self.steps))
        return any(earning is not None and earning.rate_type == "percent" for earning in earnings)
