{{
    config(
        unique_key=["source_id", "commission_id"],
        touched_by="touched_commissions",
    )
}}

{% set touched = ref("touched_commissions") %}

with

    commission_states as (

        select *
        from {{ ref("int_commission_states") }} as states
        where {{ only_touched("states", touched, ["source_id", "commission_id"]) }}

    ),

    commission_entries as (

        select *
        from {{ ref("commission_ledger") }} as entries
        where
            entries.commission_id is not null
            and entries.entry_type in {{ commission_entry_types() }}
            and {{ only_touched("entries", touched, ["source_id", "commission_id"]) }}

    ),

    test_partners as (select * from {{ ref("int_test_partners") }}),

    commission_totals as (

        select
            source_id,
            commission_id,
            max(currency) as currency,
            {{
                money(
                    "sum(case when entry_type in ('earned', 'restated') then amount else 0 end)"
                )
            }} as calculated_amount,
            {{
                money(
                    "sum(case when entry_type in ('earned', 'restated') then 0 else amount end)"
                )
            }} as adjusted_amount,
            {{ money("sum(amount)") }} as net_amount
        from commission_entries
        group by 1, 2
        -- money of two currencies is never one amount
        having count(distinct currency) = 1

    ),

    commissions as (

        select
            -- ids
            commission_states.source_id,
            commission_states.commission_id,
            commission_states.conversion_id,
            commission_states.customer_id,
            commission_states.partner_id,
            commission_states.plan_id,
            commission_states.plan_version,
            commission_states.tier_id,
            commission_states.payout_id,
            commission_states.sub_affiliate_source_partner_id,
            commission_states.sub_affiliate_source_commission_id,
            commission_states.program_id,

            -- strings
            commission_states.model,
            commission_states.component,
            commission_states.rate_type,
            commission_states.rate_unit,
            case
                when commission_states.approved_at is null then 'calculated' else 'approved'
            end as status,
            case
                when commission_states.approved_at is null then 'pending' else 'payable'
            end as bucket,
            commission_totals.currency,

            -- numerics
            commission_totals.calculated_amount,
            commission_totals.adjusted_amount,
            commission_totals.net_amount,
            commission_states.rate_value,
            commission_states.quantity,
            commission_states.sub_affiliate_level,
            commission_states.version,

            -- booleans
            commission_states.calculated_at is null as is_calculated_missing,

            -- dates
            commission_states.period_start,
            commission_states.period_end,
            commission_states.hold_until,

            -- timestamps
            commission_states.calculated_at,
            commission_states.approved_at
        from commission_states
        left join
            commission_totals
            on commission_states.source_id = commission_totals.source_id
            and commission_states.commission_id = commission_totals.commission_id
        left join
            test_partners
            on commission_states.source_id = test_partners.source_id
            and commission_states.partner_id = test_partners.partner_id
        where test_partners.partner_id is null

    )

select *
from commissions
