{{ config(materialized="table") }}

{% set is_earning = "entry_type in ('earned', 'restated')" %}

with

    ledger as (

        select *, {{ month_of("effective_date") }} as effective_month
        from {{ ref("commission_ledger") }}
        where
            {{ is_earning }}
            or (entry_type = 'adjusted' and adjustment_type in ('clawback', 'chargeback', 'refund'))

    ),

    earned_commissions as (

        select source_id, commission_id, min(effective_month) as earned_month
        from ledger
        where entry_type = 'earned'
        group by 1, 2

    ),

    -- what was taken back of no commission, or of one that was never earned, is of its own month
    entries_by_earned_month as (

        select
            ledger.*,
            coalesce(earned_commissions.earned_month, ledger.effective_month) as earned_month
        from ledger
        left join
            earned_commissions
            on ledger.source_id = earned_commissions.source_id
            and ledger.commission_id = earned_commissions.commission_id

    ),

    sums as (

        select
            source_id,
            partner_id,
            currency,
            earned_month,
            sum(case when {{ is_earning }} then amount else 0 end) as earned,
            - sum(case when {{ is_earning }} then 0 else amount end) as clawed_back,
            count(distinct case when {{ is_earning }} then commission_id end) as commissions,
            count(
                distinct case when not {{ is_earning }} then commission_id end
            ) as clawed_back_commissions
        from entries_by_earned_month
        group by 1, 2, 3, 4

    ),

    commission_clawbacks_monthly as (

        select
            -- ids
            source_id,
            partner_id,

            -- strings
            currency,

            -- numerics
            {{ money("earned") }} as earned_amount,
            {{ money("clawed_back") }} as clawed_back_amount,
            {{ ratio("clawed_back", "earned") }} as clawback_rate,
            cast(commissions as bigint) as commissions,
            cast(clawed_back_commissions as bigint) as clawed_back_commissions,

            -- dates
            earned_month
        from sums

    )

select *
from commission_clawbacks_monthly
