{{
    config(
        unique_key=["source_id", "ledger_subject_id"],
        touched_by="touched_commission_bookings",
    )
}}

{% set touched = ref("touched_commission_bookings") %}

with

    ledger as (

        select *
        from {{ ref("commission_ledger") }} as ledger
        where
            ledger.entry_type in {{ commission_entry_types() }}
            and {{ only_touched("ledger", touched, ["source_id", "ledger_subject_id"]) }}

    ),

    commissions as (

        select *
        from {{ ref("commissions") }} as commissions
        where {{ only_joined("commissions", "ledger", ["source_id", "commission_id"]) }}

    ),

    conversions as (

        select *
        from {{ ref("conversions") }} as conversions
        where {{ only_joined("conversions", "commissions", ["source_id", "conversion_id"]) }}

    ),

    entries as (

        select
            ledger.source_id,
            ledger.ledger_subject_id,
            ledger.commission_id,
            ledger.partner_id,
            commissions.sub_affiliate_source_partner_id,
            conversions.partner_id as conversion_partner_id,
            coalesce(commissions.customer_id, conversions.customer_id) as customer_id,
            ledger.entry_type not in ('earned', 'restated') as is_adjustment,
            {{ is_override("commissions") }} as is_override,
            ledger.amount_rc,
            {{
                month_of(
                    "case when conversions.duplicate_of_conversion_id is null then conversions.created_date end"
                )
            }}
            as conversion_month,
            {{ month_of("ledger.booking_date") }} as month
        from ledger
        left join
            commissions
            on ledger.source_id = commissions.source_id
            and ledger.commission_id = commissions.commission_id
        left join
            conversions
            on commissions.source_id = conversions.source_id
            and commissions.conversion_id = conversions.conversion_id

    ),

    commission_bookings as (

        select
            source_id,
            ledger_subject_id,
            commission_id,
            partner_id,
            sub_affiliate_source_partner_id,
            conversion_partner_id,
            customer_id,
            is_adjustment,
            is_override,
            {{ money(whole_sum("amount_rc")) }} as amount_rc,
            conversion_month,
            month
        from entries
        group by
            source_id,
            ledger_subject_id,
            commission_id,
            partner_id,
            sub_affiliate_source_partner_id,
            conversion_partner_id,
            customer_id,
            is_adjustment,
            is_override,
            conversion_month,
            month

    )

select *
from commission_bookings
