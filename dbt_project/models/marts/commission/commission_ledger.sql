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

    fx_rates as (select * from {{ ref("stg_raw__fx_rates") }}),

    closed_months as (

        select
            period_month as month,
            closed_at,
            cast({{ dbt.dateadd("month", 1, "period_month") }} as date) as next_month
        from {{ ref("stg_raw__accounting_periods") }}

    ),

    entries as (

        select
            source_id,
            ledger_entry_id,
            ledger_subject_id,
            partner_id,
            commission_id,
            adjustment_id,
            adjustment_type,
            cast(null as {{ dbt.type_string() }}) as payout_id,
            event_id as source_event_id,
            entry_type,
            bucket,
            currency,
            amount,
            effective_at,
            received_at
        from commission_entries
        union all
        select
            source_id,
            ledger_entry_id,
            ledger_subject_id,
            partner_id,
            cast(null as {{ dbt.type_string() }}) as commission_id,
            cast(null as {{ dbt.type_string() }}) as adjustment_id,
            cast(null as {{ dbt.type_string() }}) as adjustment_type,
            payout_id,
            event_id as source_event_id,
            entry_type,
            bucket,
            currency,
            amount,
            effective_at,
            received_at
        from payout_entries

    ),

    effective_entries as (

        select
            entries.*,
            {{ reporting_date("entries.effective_at") }} as effective_date,
            {{ month_of(reporting_date("entries.effective_at")) }} as effective_month
        from entries
        left join
            test_partners
            on entries.source_id = test_partners.source_id
            and entries.partner_id = test_partners.partner_id
        where test_partners.partner_id is null

    ),

    -- the month was closed when the event was received: the first one after it that was open then
    first_open_months as (

        select
            effective_entries.source_id,
            effective_entries.ledger_entry_id,
            min(closed_since.next_month) as month
        from effective_entries
        inner join
            closed_months as closed_then
            on effective_entries.effective_month = closed_then.month
            and effective_entries.received_at >= closed_then.closed_at
        inner join
            closed_months as closed_since
            on closed_since.month >= effective_entries.effective_month
            and effective_entries.received_at >= closed_since.closed_at
        left join
            closed_months as closed_next
            on closed_since.next_month = closed_next.month
            and effective_entries.received_at >= closed_next.closed_at
        where closed_next.month is null
        group by 1, 2

    ),

    booked_entries as (

        select
            effective_entries.*,
            coalesce(first_open_months.month, effective_entries.effective_date) as booking_date,
            first_open_months.month is not null as is_prior_period,
            fx_rates.fx_rate,
            fx_rates.fx_rate_date
        from effective_entries
        left join
            first_open_months
            on effective_entries.source_id = first_open_months.source_id
            and effective_entries.ledger_entry_id = first_open_months.ledger_entry_id
        left join
            fx_rates
            on effective_entries.currency = fx_rates.currency
            and effective_entries.effective_date = fx_rates.valid_on

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
            adjustment_type,
            currency,

            -- numerics
            amount,
            {{ in_reporting_currency("amount", "currency", "fx_rate") }} as amount_rc,
            {{
                rate(
                    "case when currency = '"
                    ~ var("reporting_currency")
                    ~ "' then 1 else fx_rate end"
                )
            }} as fx_rate,

            -- booleans
            is_prior_period,

            -- dates
            effective_date,
            booking_date,
            case
                when currency = '{{ var("reporting_currency") }}'
                then effective_date
                else fx_rate_date
            end as fx_rate_date,

            -- timestamps
            effective_at
        from booked_entries

    )

select *
from commission_ledger
