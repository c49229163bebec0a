"""The values that the contract lists, field by field, written down once more for the oracle."""

REASONS_BY_CATEGORY = {
    "fraud": "duplicate_ip duplicate_device duplicate_account self_referral bot_traffic proxy_vpn click_injection "
    "click_flooding stolen_payment email_suspicious incentivised_traffic bonus_abuse geo_mismatch",
    "quality": "below_min_deposit below_min_wager below_min_lots outside_window no_activity not_new_customer "
    "kyc_failed invalid_lead_data",
    "commercial": "duplicate_conversion cap_exceeded out_of_geo offer_inactive credited_other_partner order_cancelled "
    "item_returned chargeback refund payment_failed",
    "compliance": "brand_bidding terms_violation restricted_jurisdiction self_excluded_player underage "
    "partner_not_active",
    "technical": "tracking_error invalid_token wrong_protocol no_click test_conversion attribution_dispute",
    "other": "other",
}
_MODELS = (
    "cpa cpl cpc cpi revshare hybrid fixed lot_rebate spread_share net_deposit_share challenge_fee_share funded_bonus "
    "override bonus referral other"
)
PARTNER_TYPES = "affiliate ib sub_ib sub_affiliate influencer media_buyer agency reseller referral"
KNOWN_VALUES = {
    "click": {"click.validity": "valid duplicate invalid", "geo.source": "ip declared kyc"},
    "conversion": {
        "conversion.type": "registration kyc_passed first_deposit deposit first_trade trade lead install trial_start "
        "subscription_start subscription_renewal order challenge_purchase challenge_reset challenge_passed "
        "account_funded custom",
        "conversion.status": "pending qualified rejected",
        "qualifying_event.kind": "registration deposit wager trade challenge_purchase challenge_pass account_funded "
        "subscription_payment order lead",
        "commission_preview.model": _MODELS,
        "rejection.reason_code": " ".join(REASONS_BY_CATEGORY.values()),
        "rejection.category": " ".join(REASONS_BY_CATEGORY),
        "rejection.decided_by": "rule manual advertiser fraud_engine provider",
        "geo.source": "ip declared kyc",
    },
    "commission": {
        "commission.model": _MODELS,
        "adjustment.type": "clawback chargeback refund correction retro_tier negative_carryover_reset "
        "high_roller_quarantine bonus dormancy_forfeit termination_forfeit partner_transfer fx_difference write_off "
        "reversal other",
    },
    "payout": {
        "failure.category": "invalid_details insufficient_funds provider_error compliance_block limit_exceeded "
        "returned_by_bank expired_unclaimed cancelled other"
    },
    "partner": {
        "change.reason_code": "fraud fraud_review terms_violation brand_abuse fake_traffic spam compliance inactivity "
        "kyc_failed own_request merged program_closed other",
        "change.actor.type": "system user partner rule provider",
    },
}
