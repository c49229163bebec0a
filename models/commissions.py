"""The events of a commission: calculated, approved, adjusted; and of the tier it is reckoned by."""

from typing import Annotated, Literal

from models.contract import Contract
from models.enumerations import ADJUSTMENT_TYPES, COMMISSION_MODELS
from models.envelope import Event
from models.money import Money
from models.scalars import Date, DecimalText, Identifier, Integer, Json, Text, Timestamp, known
from models.snapshots import Actor, Partner, Period, Rate, Tier


class Basis(Contract):
    """What the rate is applied to."""

    kind: Text | None = None
    amount: Money | None = None
    breakdown: Json = None


class Hold(Contract):
    """How long the commission waits before it may be approved."""

    days: Integer | None = None
    until: Date | None = None


class SubAffiliate(Contract):
    """The commission of another partner from which this one follows."""

    level: Integer | None = None
    source_partner_id: Identifier | None = None
    source_commission_id: Identifier | None = None


class Commission(Contract):
    """What a partner has earned; one per component of a hybrid deal."""

    id: Identifier
    conversion_id: Identifier | None = None
    customer_id: Identifier | None = None
    model: Annotated[Text, known(COMMISSION_MODELS)]
    component: Text | None = None
    plan_id: Identifier | None = None
    plan_version: Text | None = None
    tier_id: Identifier | None = None
    rate: Rate | None = None
    basis: Basis | None = None
    quantity: DecimalText | None = None
    amount: Money
    status: Text | None = None
    period: Period | None = None
    hold: Hold | None = None
    sub_affiliate: SubAffiliate | None = None
    payout_id: Identifier | None = None
    calculated_at: Timestamp | None = None
    version: Integer | None = None


class CommissionCalculatedData(Contract):
    """The data of `commission.calculated`."""

    commission: Commission
    partner: Partner


class Approval(Contract):
    """What was approved for payment, and when."""

    approved_amount: Money
    approved_at: Timestamp
    payable_on: Date | None = None
    actor: Actor | None = None


class CommissionApprovedData(CommissionCalculatedData):
    """The data of `commission.approved`."""

    approval: Approval | None = None


class Adjustment(Contract):
    """A change to what is owed; `amount_delta` is what is booked, the amounts before and after are information."""

    id: Identifier
    type: Annotated[Text, known(ADJUSTMENT_TYPES)]
    reason_code: Text | None = None
    reason_detail: Text | None = None
    amount_delta: Money
    amount_before: Money | None = None
    amount_after: Money | None = None
    is_after_payout: bool | None = None
    recovery: Text | None = None
    effective_on: Date | None = None
    related_conversion_id: Identifier | None = None
    counterparty_partner_id: Identifier | None = None
    actor: Actor | None = None


class CommissionAdjustedData(Contract):
    """The data of `commission.adjusted`; without a commission where the partner's account as a whole is adjusted."""

    commission: Commission | None = None
    partner: Partner
    adjustment: Adjustment


class RatedTier(Tier):
    """A tier with its rate."""

    rate: Rate | None = None


class TierTrigger(Contract):
    """The measure that moved the partner, and the threshold it crossed."""

    metric: Text | None = None
    value: DecimalText | None = None
    threshold: DecimalText | None = None
    period: Period | None = None


class TierChange(Contract):
    """A partner's move from one tier to another."""

    id: Identifier
    plan_id: Identifier | None = None
    previous_tier: RatedTier | None = None
    new_tier: RatedTier
    effective_from: Date
    effective_to: Date | None = None
    is_retroactive: bool | None = None
    retroactive_from: Date | None = None
    trigger: TierTrigger | None = None
    direction: Text | None = None
    actor: Actor | None = None


class CommissionTierChangedData(Contract):
    """The data of `commission.tier_changed`, which carries no money."""

    partner: Partner
    tier_change: TierChange


class CommissionCalculated(Event):
    """A commission was earned, not yet approved."""

    type: Literal["commission.calculated"]
    data: CommissionCalculatedData


class CommissionApproved(Event):
    """A commission may be paid."""

    type: Literal["commission.approved"]
    data: CommissionApprovedData


class CommissionAdjusted(Event):
    """What is owed changed: a clawback, a correction, a bonus."""

    type: Literal["commission.adjusted"]
    data: CommissionAdjustedData


class CommissionTierChanged(Event):
    """A partner earns by another tier from now on."""

    type: Literal["commission.tier_changed"]
    data: CommissionTierChangedData
