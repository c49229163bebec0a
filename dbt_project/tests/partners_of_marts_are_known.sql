{{ config(tags=["gate"]) }}

with

    partners as (select * from {{ ref("partners") }}),

    mentioned_partners as (

        {% for mart in [
            "commission_clawbacks_monthly",
            "clicks",
            "commission_ledger",
            "commission_liability_aging",
            "commissions",
            "conversion_funnel_daily",
            "conversions",
            "customer_cohorts_monthly",
            "fraud_rejections",
            "fraud_scorecard",
            "fraud_signals_daily",
            "partner_economics",
            "payout_failures_open",
            "payout_reconciliation",
            "partner_history",
            "partner_performance_daily",
            "partner_tiers",
            "payouts",
            "revshare_monthly",
            "tier_impact",
            "rejections_daily",
            "traffic_source_daily",
        ] %}
            select distinct '{{ mart }}' as mart, source_id, partner_id
            from {{ ref(mart) }} {{ "union all" if not loop.last }}
        {% endfor %}

    ),

    unknown_partners as (

        select mentioned_partners.*
        from mentioned_partners
        left join
            partners
            on mentioned_partners.source_id = partners.source_id
            and mentioned_partners.partner_id = partners.partner_id
        where partners.partner_id is null

    )

select *
from unknown_partners
