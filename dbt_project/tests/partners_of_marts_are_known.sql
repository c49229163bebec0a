{{ config(tags=["gate"]) }}

with

    partners as (select * from {{ ref("partners") }}),

    mentioned_partners as (

        {% for mart in [
            "commission_clawbacks_monthly",
            "commission_ledger",
            "commission_liability_aging",
            "commissions",
            "conversions",
            "customer_cohorts_monthly",
            "fraud_rejections",
            "partner_economics",
            "payout_failures_open",
            "payout_reconciliation",
            "payouts",
            "revshare_monthly",
            "tier_impact",
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
