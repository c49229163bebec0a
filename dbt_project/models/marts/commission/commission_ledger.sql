{{
    config(
        unique_key=["source_id", "ledger_subject_id"],
        touched_by="touched_ledger_subjects",
    )
}}

{% set touched = ref("touched_ledger_subjects") %}

with

    commission_entries as (

        select *
        from {{ ref("int_commission_entries") }} as entries
        where {{ only_touched("entries", touched, ["source_id", "ledger_subject_id"]) }}

    ),

    payout_entries as (

        select *
        from {{ ref("int_payout_entries") }} as entries
        where {{ only_touched("entries", touched, ["source_id", "ledger_subject_id"]) }}

    ),

    test_partners as (select * from {{ ref("int_test_partners") }}),

    entries as (

        select
            source_id,
            ledger_entry_id,
            ledger_subject_id,
            partner_id,
            commission_id,
            adjustment_id,
            cast(null as {{ dbt.type_string() }}) as payout_id,
            event_id as source_event_id,
            entry_type,
            bucket,
            currency,
            amount,
            effective_at
        from commission_entries
        union all
        select
            source_id,
            ledger_entry_id,
            ledger_subject_id,
            partner_id,
            cast(null as {{ dbt.type_string() }}) as commission_id,
            cast(null as {{ dbt.type_string() }}) as adjustment_id,
            payout_id,
            event_id as source_event_id,
            entry_type,
            bucket,
            currency,
            amount,
            effective_at
        from payout_entries

    ),

    -- no month is known to be closed, so an entry is booked on the day it took effect
    dated_entries as (

        select
            entries.*,
            {{ reporting_date("entries.effective_at") }} as effective_date,
            {{ reporting_date("entries.effective_at") }} as booking_date
        from entries
        left join
            test_partners
            on entries.source_id = test_partners.source_id
            and entries.partner_id = test_partners.partner_id
        where test_partners.partner_id is null

    ),

    commission_ledger as (

        select
            -- ids
            source_id,
            ledger_entry_id,
            ledger_subject_id,
            partner_id,
            commission_id,
            adjustment_id,
            payout_id,
            source_event_id,

            -- strings
            entry_type,
            bucket,
            currency,

            -- numerics
            amount,
            {{ in_reporting_currency("amount", "currency") }} as amount_rc,
            {{ rate("case when currency = '" ~ var("reporting_currency") ~ "' then 1 end") }}
            as fx_rate,

            -- booleans
            {{ month_of("effective_date") }} < {{ month_of("booking_date") }} as is_prior_period,

            -- dates
            effective_date,
            booking_date,
            case
                when currency = '{{ var("reporting_currency") }}' then effective_date
            end as fx_rate_date,

            -- timestamps
            effective_at
        from dated_entries

    )

select *
from commission_ledger
