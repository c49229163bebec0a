"""Which contract holds for which event type at which major version."""

from models.clicks import ClickTracked
from models.commissions import CommissionAdjusted, CommissionApproved, CommissionCalculated, CommissionTierChanged
from models.conversions import ConversionCreated, ConversionQualified, ConversionRejected, ConversionUpdated
from models.envelope import Event
from models.partners import PartnerApproved, PartnerRegistered, PartnerSuspended, PartnerTerminated
from models.payouts import PayoutCompleted, PayoutFailed, PayoutProcessing, PayoutScheduled

# The major version stays text: "01" is no spelling of "1", and a number of any length needs no parsing.
CONTRACTS: dict[tuple[str, str], type[Event]] = {
    ("click.tracked", "1"): ClickTracked,
    ("conversion.created", "1"): ConversionCreated,
    ("conversion.updated", "1"): ConversionUpdated,
    ("conversion.qualified", "1"): ConversionQualified,
    ("conversion.rejected", "1"): ConversionRejected,
    ("commission.calculated", "1"): CommissionCalculated,
    ("commission.adjusted", "1"): CommissionAdjusted,
    ("commission.approved", "1"): CommissionApproved,
    ("commission.tier_changed", "1"): CommissionTierChanged,
    ("payout.scheduled", "1"): PayoutScheduled,
    ("payout.processing", "1"): PayoutProcessing,
    ("payout.completed", "1"): PayoutCompleted,
    ("payout.failed", "1"): PayoutFailed,
    ("partner.registered", "1"): PartnerRegistered,
    ("partner.approved", "1"): PartnerApproved,
    ("partner.suspended", "1"): PartnerSuspended,
    ("partner.terminated", "1"): PartnerTerminated,
}
