"""
The one mapping from an event's JSON to the typed columns of `raw`.

The loader makes its extraction and its Arrow schema from it, so that no dbt model ever parses JSON. A path that is
absent or null gives null. Every path stands in the contract of at least one event type of its table; a test compares
the two.
"""

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What a column holds, and how it is read from JSON."""

    TEXT = "text"
    CURRENCY = "currency"  # upper-cased on the way in
    MONEY = "money"  # decimal(28, 8), from a decimal string of at most 8 decimals
    DECIMAL = "decimal"  # decimal(38, 18), from a decimal string: rates, quantities, scores
    INTEGER = "integer"  # 64 bits
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"  # UTC, microseconds, without a zone
    DATE = "date"
    JSON = "json"  # the JSON text as sent
    MONEY_SUM = "money_sum"  # the sum over an array of money objects; null where their currencies differ
    SHARED_CURRENCY = "shared_currency"  # the one currency of an array of money objects; null where they differ


@dataclass(frozen=True, slots=True)
class Column:
    """
    One typed column.

    Attributes:
        name: In the warehouse.
        path: Dotted, from the root of the event.
        kind: Type and reading.
    """

    name: str
    path: str
    kind: Kind = Kind.TEXT


def _money(name: str, path: str, currency: str) -> tuple[Column, Column]:
    return Column(name, f"{path}.amount", Kind.MONEY), Column(currency, f"{path}.currency", Kind.CURRENCY)


def _rate(prefix: str, path: str) -> tuple[Column, ...]:
    return (
        Column(f"{prefix}_type", f"{path}.type"),
        Column(f"{prefix}_value", f"{path}.value", Kind.DECIMAL),
        Column(f"{prefix}_unit", f"{path}.unit"),
    )


ENVELOPE_COLUMNS: tuple[Column, ...] = (
    Column("emitted_at", "emitted_at", Kind.TIMESTAMP),
    Column("platform_instance_id", "source_id"),
    Column("program_id", "program_id"),
    Column("livemode", "livemode", Kind.BOOLEAN),
    Column("partner_id", "data.partner.id"),
    Column("partner_name", "data.partner.name"),
    Column("partner_external_id", "data.partner.external_id"),
    Column("partner_type", "data.partner.type"),
    Column("partner_status", "data.partner.status"),
    Column("partner_group_id", "data.partner.group_id"),
    Column("partner_manager_id", "data.partner.manager_id"),
    Column("partner_parent_id", "data.partner.parent_id"),
    Column("partner_country", "data.partner.country"),
)

_TOUCHPOINT_COLUMNS: tuple[Column, ...] = (
    Column("tracking_click_id", "data.tracking.click_id"),
    Column("link_id", "data.tracking.link_id"),
    Column("campaign_id", "data.tracking.campaign_id"),
    Column("offer_id", "data.tracking.offer_id"),
    Column("creative_id", "data.tracking.creative_id"),
    Column("coupon_code", "data.tracking.coupon_code"),
    Column("traffic_source", "data.tracking.traffic_source"),
    Column("traffic_medium", "data.tracking.traffic_medium"),
    Column("referrer_domain", "data.tracking.referrer_domain"),
    Column("landing_url", "data.tracking.landing_url"),
    *(Column(f"sub{number}", f"data.tracking.sub_ids.sub{number}") for number in range(1, 11)),
    Column("attribution_model", "data.tracking.attribution_model"),
    Column("is_view_through", "data.tracking.is_view_through", Kind.BOOLEAN),
    Column("geo_country", "data.geo.country"),
    Column("geo_region", "data.geo.region"),
    Column("geo_city", "data.geo.city"),
    Column("geo_source", "data.geo.source"),
    Column("geo_declared_country", "data.geo.declared_country"),
    Column("device_type", "data.device.type"),
    Column("device_os", "data.device.os"),
    Column("device_browser", "data.device.browser"),
    Column("device_fingerprint_hash", "data.device.fingerprint_hash"),
    Column("device_ip_hash", "data.device.ip_hash"),
    Column("device_ip_prefix_hash", "data.device.ip_prefix_hash"),
    Column("device_user_agent_hash", "data.device.user_agent_hash"),
)

_CLICK_COLUMNS: tuple[Column, ...] = (
    Column("click_id", "data.click.id"),
    Column("clicked_at", "data.click.occurred_at", Kind.TIMESTAMP),
    Column("validity", "data.click.validity"),
    Column("invalid_reason", "data.click.invalid_reason"),
    Column("is_unique", "data.click.is_unique", Kind.BOOLEAN),
    Column("is_bot", "data.click.is_bot", Kind.BOOLEAN),
    Column("click_trigger", "data.click.trigger"),
    *_money("cost_amount", "data.click.cost", "cost_currency"),
    *_TOUCHPOINT_COLUMNS,
)

_CONVERSION_COLUMNS: tuple[Column, ...] = (
    Column("conversion_id", "data.conversion.id"),
    Column("conversion_type", "data.conversion.type"),
    Column("vertical", "data.conversion.vertical"),
    Column("external_id", "data.conversion.external_id"),
    Column("status", "data.conversion.status"),
    Column("conversion_occurred_at", "data.conversion.occurred_at", Kind.TIMESTAMP),
    Column("clicked_at", "data.conversion.clicked_at", Kind.TIMESTAMP),
    Column("parent_conversion_id", "data.conversion.parent_conversion_id"),
    Column("is_first", "data.conversion.is_first", Kind.BOOLEAN),
    *_money("value_amount", "data.conversion.value", "value_currency"),
    Column("entity_version", "data.conversion.version", Kind.INTEGER),
    Column("customer_id", "data.customer.id"),
    Column("customer_external_id", "data.customer.external_id"),
    Column("customer_country", "data.customer.country"),
    Column("customer_registered_at", "data.customer.registered_at", Kind.TIMESTAMP),
    Column("customer_is_new", "data.customer.is_new", Kind.BOOLEAN),
    Column("customer_status", "data.customer.status"),
    *_TOUCHPOINT_COLUMNS,
    Column("qualifying_kind", "data.qualifying_event.kind"),
    *_money("deposit_amount", "data.qualifying_event.deposit", "deposit_currency"),
    Column("deposit_method", "data.qualifying_event.deposit_method"),
    Column("deposit_number", "data.qualifying_event.deposit_number", Kind.INTEGER),
    *_money("wagered_amount", "data.qualifying_event.wagered", "wagered_currency"),
    Column("trade_volume_lots", "data.qualifying_event.trade_volume_lots", Kind.DECIMAL),
    Column("instrument_class", "data.qualifying_event.instrument_class"),
    Column("account_type", "data.qualifying_event.account_type"),
    Column("challenge", "data.qualifying_event.challenge", Kind.JSON),
    Column("subscription", "data.qualifying_event.subscription", Kind.JSON),
    Column("order_details", "data.qualifying_event.order", Kind.JSON),
    Column("qualification_rule_id", "data.qualification.rule_id"),
    Column("qualification_rule_version", "data.qualification.rule_version"),
    Column("qualified_at", "data.qualification.qualified_at", Kind.TIMESTAMP),
    Column("qualification_window_days", "data.qualification.window_days", Kind.INTEGER),
    Column("preview_commission_id", "data.commission_preview.commission_id"),
    Column("preview_model", "data.commission_preview.model"),
    *_money("preview_amount", "data.commission_preview.amount", "preview_currency"),
    Column("rejection_reason_code", "data.rejection.reason_code"),
    Column("rejection_category", "data.rejection.category"),
    Column("rejection_reason_detail", "data.rejection.reason_detail"),
    Column("rejection_platform_reason", "data.rejection.platform_reason"),
    Column("rejection_decided_by", "data.rejection.decided_by"),
    Column("rejection_rule_id", "data.rejection.rule_id"),
    Column("rejection_fraud_score", "data.rejection.fraud_score", Kind.DECIMAL),
    Column("rejection_signals", "data.rejection.signals", Kind.JSON),
    Column("rejection_previous_status", "data.rejection.previous_status"),
    Column("rejected_at", "data.rejection.rejected_at", Kind.TIMESTAMP),
    Column("rejection_is_final", "data.rejection.is_final", Kind.BOOLEAN),
    Column("update_reason_code", "data.update.reason_code"),
    Column("update_reason_detail", "data.update.reason_detail"),
)

_COMMISSION_COLUMNS: tuple[Column, ...] = (
    Column("commission_id", "data.commission.id"),
    Column("conversion_id", "data.commission.conversion_id"),
    Column("customer_id", "data.commission.customer_id"),
    Column("commission_model", "data.commission.model"),
    Column("component", "data.commission.component"),
    Column("plan_id", "data.commission.plan_id"),
    Column("plan_version", "data.commission.plan_version"),
    Column("tier_id", "data.commission.tier_id"),
    *_rate("rate", "data.commission.rate"),
    Column("basis_kind", "data.commission.basis.kind"),
    *_money("basis_amount", "data.commission.basis.amount", "basis_currency"),
    Column("basis_breakdown", "data.commission.basis.breakdown", Kind.JSON),
    Column("quantity", "data.commission.quantity", Kind.DECIMAL),
    *_money("amount", "data.commission.amount", "currency"),
    Column("status", "data.commission.status"),
    Column("period_start", "data.commission.period.start", Kind.DATE),
    Column("period_end", "data.commission.period.end", Kind.DATE),
    Column("hold_days", "data.commission.hold.days", Kind.INTEGER),
    Column("hold_until", "data.commission.hold.until", Kind.DATE),
    Column("sub_affiliate_level", "data.commission.sub_affiliate.level", Kind.INTEGER),
    Column("sub_affiliate_source_partner_id", "data.commission.sub_affiliate.source_partner_id"),
    Column("sub_affiliate_source_commission_id", "data.commission.sub_affiliate.source_commission_id"),
    Column("payout_id", "data.commission.payout_id"),
    Column("calculated_at", "data.commission.calculated_at", Kind.TIMESTAMP),
    Column("entity_version", "data.commission.version", Kind.INTEGER),
    *_money("approved_amount", "data.approval.approved_amount", "approved_currency"),
    Column("approved_at", "data.approval.approved_at", Kind.TIMESTAMP),
    Column("payable_on", "data.approval.payable_on", Kind.DATE),
    Column("adjustment_id", "data.adjustment.id"),
    Column("adjustment_type", "data.adjustment.type"),
    Column("adjustment_reason_code", "data.adjustment.reason_code"),
    Column("adjustment_reason_detail", "data.adjustment.reason_detail"),
    *_money("amount_delta", "data.adjustment.amount_delta", "delta_currency"),
    *_money("amount_before", "data.adjustment.amount_before", "before_currency"),
    *_money("amount_after", "data.adjustment.amount_after", "after_currency"),
    Column("is_after_payout", "data.adjustment.is_after_payout", Kind.BOOLEAN),
    Column("recovery", "data.adjustment.recovery"),
    Column("effective_on", "data.adjustment.effective_on", Kind.DATE),
    Column("related_conversion_id", "data.adjustment.related_conversion_id"),
    Column("counterparty_partner_id", "data.adjustment.counterparty_partner_id"),
    Column("tier_change_id", "data.tier_change.id"),
    Column("tier_change_plan_id", "data.tier_change.plan_id"),
    Column("previous_tier_id", "data.tier_change.previous_tier.id"),
    Column("previous_tier_name", "data.tier_change.previous_tier.name"),
    Column("previous_tier_rank", "data.tier_change.previous_tier.rank", Kind.INTEGER),
    *_rate("previous_tier_rate", "data.tier_change.previous_tier.rate"),
    Column("new_tier_id", "data.tier_change.new_tier.id"),
    Column("new_tier_name", "data.tier_change.new_tier.name"),
    Column("new_tier_rank", "data.tier_change.new_tier.rank", Kind.INTEGER),
    *_rate("new_tier_rate", "data.tier_change.new_tier.rate"),
    Column("tier_effective_from", "data.tier_change.effective_from", Kind.DATE),
    Column("tier_effective_to", "data.tier_change.effective_to", Kind.DATE),
    Column("tier_is_retroactive", "data.tier_change.is_retroactive", Kind.BOOLEAN),
    Column("tier_retroactive_from", "data.tier_change.retroactive_from", Kind.DATE),
    Column("tier_trigger_metric", "data.tier_change.trigger.metric"),
    Column("tier_trigger_value", "data.tier_change.trigger.value", Kind.DECIMAL),
    Column("tier_trigger_threshold", "data.tier_change.trigger.threshold", Kind.DECIMAL),
    Column("tier_direction", "data.tier_change.direction"),
)

_PAYOUT_COLUMNS: tuple[Column, ...] = (
    Column("payout_id", "data.payout.id"),
    Column("payout_batch_id", "data.payout.batch_id"),
    Column("status", "data.payout.status"),
    *_money("amount", "data.payout.amount", "currency"),
    *_money("debit_amount", "data.payout.debit", "debit_currency"),
    *_money("gross_amount", "data.payout.gross", "gross_currency"),
    Column("fee_amount", "data.payout.fees", Kind.MONEY_SUM),
    Column("fee_currency", "data.payout.fees", Kind.SHARED_CURRENCY),
    *_money("withholding_tax_amount", "data.payout.withholding_tax", "withholding_tax_currency"),
    Column("fx_from", "data.payout.fx.from", Kind.CURRENCY),
    Column("fx_to", "data.payout.fx.to", Kind.CURRENCY),
    Column("fx_rate", "data.payout.fx.rate", Kind.DECIMAL),
    Column("fx_rate_source", "data.payout.fx.rate_source"),
    Column("fx_rate_at", "data.payout.fx.rate_at", Kind.TIMESTAMP),
    Column("method", "data.payout.method"),
    Column("provider", "data.payout.provider"),
    Column("provider_reference", "data.payout.provider_reference"),
    Column("destination_hash", "data.payout.destination_hash"),
    Column("period_start", "data.payout.period.start", Kind.DATE),
    Column("period_end", "data.payout.period.end", Kind.DATE),
    Column("scheduled_for", "data.payout.scheduled_for", Kind.DATE),
    Column("attempt", "data.payout.attempt", Kind.INTEGER),
    Column("retry_of_payout_id", "data.payout.retry_of_payout_id"),
    Column("allocations", "data.payout.allocations", Kind.JSON),
    Column("entity_version", "data.payout.version", Kind.INTEGER),
    Column("submitted_at", "data.processing.submitted_at", Kind.TIMESTAMP),
    Column("completed_at", "data.completion.completed_at", Kind.TIMESTAMP),
    *_money("settled_amount", "data.completion.settled", "settled_currency"),
    *_money("provider_fee_amount", "data.completion.provider_fee", "provider_fee_currency"),
    Column("value_date", "data.completion.value_date", Kind.DATE),
    Column("failed_at", "data.failure.failed_at", Kind.TIMESTAMP),
    Column("failure_code", "data.failure.code"),
    Column("failure_category", "data.failure.category"),
    Column("failure_message", "data.failure.message"),
    Column("is_retryable", "data.failure.is_retryable", Kind.BOOLEAN),
    Column("is_return_after_completion", "data.failure.is_return_after_completion", Kind.BOOLEAN),
    *_money("returned_amount", "data.failure.returned", "returned_currency"),
    Column("next_attempt_at", "data.failure.next_attempt_at", Kind.TIMESTAMP),
)

_PARTNER_COLUMNS: tuple[Column, ...] = (
    Column("company_name", "data.partner.company_name"),
    Column("email_hash", "data.partner.email_hash"),
    Column("language", "data.partner.language"),
    Column("plan_id", "data.partner.plan_id"),
    Column("tier_id", "data.partner.tier.id"),
    Column("tier_name", "data.partner.tier.name"),
    Column("tier_rank", "data.partner.tier.rank", Kind.INTEGER),
    Column("payout_method", "data.partner.payout_method"),
    Column("payout_currency", "data.partner.payout_currency", Kind.CURRENCY),
    *_money("min_payout_amount", "data.partner.min_payout", "min_payout_currency"),
    Column("kyc_status", "data.partner.kyc_status"),
    Column("tax_status", "data.partner.tax_status"),
    Column("terms_version", "data.partner.terms_version"),
    Column("signup_source", "data.partner.signup_source"),
    Column("partner_registered_at", "data.partner.registered_at", Kind.TIMESTAMP),
    Column("entity_version", "data.partner.version", Kind.INTEGER),
    Column("is_test", "data.partner.is_test", Kind.BOOLEAN),
    Column("previous_status", "data.change.previous_status"),
    Column("status", "data.change.status"),
    Column("reason_code", "data.change.reason_code"),
    Column("reason_detail", "data.change.reason_detail"),
    Column("actor_type", "data.change.actor.type"),
    Column("actor_id", "data.change.actor.id"),
    Column("effective_at", "data.change.effective_at", Kind.TIMESTAMP),
    Column("balance_disposition", "data.change.balance_disposition"),
    Column("merged_into_partner_id", "data.change.merged_into_partner_id"),
)

EVENT_COLUMNS: dict[str, tuple[Column, ...]] = {
    "click_events": ENVELOPE_COLUMNS + _CLICK_COLUMNS,
    "conversion_events": ENVELOPE_COLUMNS + _CONVERSION_COLUMNS,
    "commission_events": ENVELOPE_COLUMNS + _COMMISSION_COLUMNS,
    "payout_events": ENVELOPE_COLUMNS + _PAYOUT_COLUMNS,
    "partner_events": ENVELOPE_COLUMNS + _PARTNER_COLUMNS,
}
