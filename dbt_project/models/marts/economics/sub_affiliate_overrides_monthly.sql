{# A table: months times pairs of partners, and what a child earned may change with its conversion. #}
{{ config(materialized="table") }}

with

    ledger as (

        select *, {{ month_of("booking_date") }} as month
        from {{ ref("commission_ledger") }}
        where entry_type in {{ commission_entry_types() }}

    ),

    commissions as (select * from {{ ref("commissions") }}),

    economics as (select * from {{ ref("partner_economics") }}),

    overrides as (

        select
            ledger.source_id,
            ledger.month,
            ledger.partner_id as parent_partner_id,
            coalesce(commissions.sub_affiliate_source_partner_id, '(none)') as child_partner_id,
            coalesce(commissions.sub_affiliate_level, 0) as level,
            ledger.commission_id,
            ledger.amount_rc,
            ledger.entry_type not in ('earned', 'restated') as is_adjustment
        from ledger
        inner join
            commissions
            on ledger.source_id = commissions.source_id
            and ledger.commission_id = commissions.commission_id
        where {{ is_override("commissions") }}

    ),

    sums as (

        select
            source_id,
            month,
            parent_partner_id,
            child_partner_id,
            level,
            count(distinct case when not is_adjustment then commission_id end) as commissions,
            {{ whole_sum("amount_rc", "not is_adjustment") }} as earned_rc,
            {{ whole_sum("amount_rc", "is_adjustment") }} as adjustment_rc
        from overrides
        group by 1, 2, 3, 4, 5

    ),

    sub_affiliate_overrides_monthly as (

        select
            -- ids
            sums.source_id,
            sums.parent_partner_id,
            sums.child_partner_id,

            -- strings
            '{{ var("reporting_currency") }}' as reporting_currency,

            -- numerics
            cast(sums.level as bigint) as level,
            cast(sums.commissions as bigint) as commissions,
            {{ money("sums.earned_rc") }} as earned_rc,
            {{ money("sums.adjustment_rc") }} as adjustment_rc,
            {{ money("sums.earned_rc + sums.adjustment_rc") }} as override_rc,
            {{ money("economics.commission_rc + economics.adjustment_rc") }} as child_commission_rc,
            {{
                ratio(
                    "sums.earned_rc + sums.adjustment_rc",
                    "economics.commission_rc + economics.adjustment_rc",
                )
            }} as override_rate,

            -- dates
            sums.month
        from sums
        left join
            economics
            on sums.source_id = economics.source_id
            and sums.child_partner_id = economics.partner_id
            and sums.month = economics.month

    )

select *
from sub_affiliate_overrides_monthly
