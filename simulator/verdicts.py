"""Why conversions of a played programme do not count, and why what is owed for them changes."""

from random import Random

from simulator.commissions import Adjustment
from simulator.conversions import Rejection
from simulator.wire import actor

_REJECTIONS: tuple[tuple[int, Rejection], ...] = (
    (5, Rejection("no_activity", "quality", "rule", "no qualifying activity within the window")),
    (4, Rejection("below_min_deposit", "quality", "rule", "less than the plan asks for")),
    (3, Rejection("not_new_customer", "quality", "rule", "account known under another brand")),
    (2, Rejection("kyc_failed", "quality", "provider", "identity check failed twice")),
    (4, Rejection("refund", "commercial", "advertiser", "customer was refunded")),
    (2, Rejection("credited_other_partner", "commercial", "manual", "earlier click of another partner")),
    (2, Rejection("payment_failed", "commercial", "provider", "payment was not settled")),
    (2, Rejection("restricted_jurisdiction", "compliance", "rule", "residence outside the licence")),
    (1, Rejection("attribution_dispute", "technical", "manual", "two clicks within one second", is_final=False)),
    (2, Rejection("duplicate_device", "fraud", "fraud_engine", "device seen before", "0.81", ("dup_device_24h",))),
)
SELF_REFERRAL = Rejection(
    "self_referral", "fraud", "manual", "customer is the partner's own", "0.90", ("self_referral",)
)
_FARM_REJECTIONS: tuple[tuple[int, Rejection], ...] = (
    (6, Rejection("duplicate_device", "fraud", "fraud_engine", "device farm", "0.97", ("dup_device_24h", "short_ctc"))),
    (5, Rejection("duplicate_ip", "fraud", "fraud_engine", "address farm", "0.92", ("dup_ip_24h",))),
    (3, Rejection("proxy_vpn", "fraud", "fraud_engine", "hosting provider's address", "0.88", ("proxy",))),
    (6, SELF_REFERRAL),
    (2, Rejection("bonus_abuse", "fraud", "manual", "deposit, bonus, withdrawal", "0.79", ("min_deposit",))),
)

PARTNER_LEFT = Rejection("partner_not_active", "compliance", "rule", "partner had left before qualification")
CANCELLED = Rejection("order_cancelled", "commercial", "advertiser", "customer withdrew in the first days")
DUPLICATE = Rejection("duplicate_conversion", "commercial", "rule", "same order under another id")
CHARGED_BACK = Rejection("chargeback", "commercial", "provider", "card chargeback")

REVERSAL = Adjustment("reversal", "conversion_rejected", "conversion reversed", actor("rule", "reversal"))
RECALCULATED = Adjustment("correction", "amount_corrected", "value was corrected", actor("system", "recalculation"))
REATTRIBUTED = Adjustment("reversal", "credited_other_partner", "owed to another partner", actor("user", "fin_3"))
RETRO_TIER = Adjustment("retro_tier", "tier_reached", "tier holds for the month", actor("system", "tier-engine"))
GOODWILL = Adjustment("correction", "rate_agreed", "rate as agreed by e-mail", actor("user", "fin_3"))
CHARGEBACK = Adjustment("chargeback", "chargeback", "card chargeback", actor("provider", "card-scheme"))
CLAWBACK = Adjustment("clawback", "chargeback", "card chargeback", actor("user", "fin_3"), is_after_payout=True)
FORFEIT = Adjustment("termination_forfeit", "terms_violation", "balance at termination", actor("user", "fin_3"))
TRANSFER = Adjustment("partner_transfer", "merged", "balance goes along with the business", actor("user", "fin_3"))
BONUS = Adjustment("bonus", "campaign_bonus", "seasonal campaign, agreed in writing", actor("user", "mgr_12"))


def a_rejection(rng: Random) -> Rejection:
    """Of an honest customer."""
    return _drawn(rng, _REJECTIONS)


def a_rejection_of_farmed(rng: Random) -> Rejection:
    """Of a customer that nobody is."""
    return _drawn(rng, _FARM_REJECTIONS)


def _drawn(rng: Random, reasons: tuple[tuple[int, Rejection], ...]) -> Rejection:
    return rng.choices([each for _, each in reasons], [weight for weight, _ in reasons])[0]
