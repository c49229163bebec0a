{{ config(tags=["gate"]) }}

{% for mart, key in [
    (
        "commission_clawbacks_monthly",
        ["source_id", "partner_id", "currency", "earned_month"],
    ),
    ("clicks", ["source_id", "click_id"]),
    ("commission_ledger", ["source_id", "ledger_entry_id"]),
    ("commission_liabilities_monthly", ["source_id", "currency", "month"]),
    (
        "commission_liability_aging",
        ["source_id", "partner_id", "currency", "bucket", "age_band"],
    ),
    ("commission_statement_monthly", ["source_id", "partner_id", "currency", "month"]),
    ("commissions", ["source_id", "commission_id"]),
    (
        "conversion_funnel_daily",
        ["source_id", "partner_id", "event_date", "campaign_id", "country", "vertical"],
    ),
    ("conversions", ["source_id", "conversion_id"]),
    (
        "customer_cohorts_monthly",
        ["source_id", "partner_id", "acquisition_month", "age_months"],
    ),
    ("data_exceptions", ["source_id", "exception_id"]),
    ("fraud_rejections", ["source_id", "event_id"]),
    ("fraud_scorecard", ["source_id", "partner_id"]),
    ("fraud_signals_daily", ["source_id", "partner_id", "event_date", "signal"]),
    ("partner_economics", ["source_id", "partner_id", "month"]),
    ("partner_history", ["source_id", "partner_id", "valid_from"]),
    ("partner_performance_daily", ["source_id", "partner_id", "event_date", "currency"]),
    ("partner_tiers", ["source_id", "partner_id", "plan", "effective_from"]),
    ("partners", ["source_id", "partner_id"]),
    ("payout_failures_open", ["source_id", "payout_id"]),
    (
        "payout_performance_daily",
        ["source_id", "payout_date", "method", "provider", "currency"],
    ),
    ("payout_reconciliation", ["source_id", "payout_id"]),
    ("payouts", ["source_id", "payout_id"]),
    ("pipeline_freshness", ["source_id", "event_type", "received_hour"]),
    ("program_concentration_monthly", ["source_id", "metric", "month"]),
    ("revshare_monthly", ["source_id", "partner_id", "plan_id", "period_month"]),
    (
        "sub_affiliate_overrides_monthly",
        ["source_id", "parent_partner_id", "child_partner_id", "level", "month"],
    ),
    ("tier_impact", ["source_id", "tier_change_id"]),
    (
        "rejections_daily",
        [
            "source_id",
            "partner_id",
            "event_date",
            "category",
            "reason_code",
            "decided_by",
        ],
    ),
    (
        "traffic_source_daily",
        ["source_id", "partner_id", "event_date", "traffic_source", "sub1", "country"],
    ),
] %}
    select '{{ mart }}' as mart, broken.*
    from
        (
            {{ broken_keys(rows_at_stake(mart, key), key) }}
        ) as broken {{ "union all" if not loop.last }}
{% endfor %}
