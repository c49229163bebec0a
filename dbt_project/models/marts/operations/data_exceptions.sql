{# A table: there are few exceptions, and those of partners, bodies in quarantine and rates are of all that there is. #}
{{ config(materialized="table") }}

{% set no_text = "cast(null as " ~ dbt.type_string() ~ ")" %}

with

    partners as (

        select
            partners.source_id,
            'partner:' || partners.partner_id as exception_subject_id,
            'partner' as entity_type,
            partners.partner_id as entity_id,
            partners.partner_id,
            partners.parent_partner_id,
            partners.root_partner_id,
            partners.partner_type,
            partners.is_inferred,
            snapshots.event_id,
            snapshots.occurred_at,
            cast(null as decimal(28, 8)) as event_amount,
            {{ no_text }} as event_currency
        from {{ ref("partners") }} as partners
        left join
            {{ ref("int_partner_snapshots") }} as snapshots
            on partners.source_id = snapshots.source_id
            and partners.partner_id = snapshots.partner_id

    ),

    quarantined_events as (

        select
            source_id,
            {{ no_text }} as exception_subject_id,
            'event' as entity_type,
            coalesce(max(event_id), 'sha256:' || body_sha256) as entity_id,
            {{ no_text }} as partner_id,
            max(event_id) as event_id,
            cast(null as timestamp) as occurred_at,
            cast(null as decimal(28, 8)) as event_amount,
            {{ no_text }} as event_currency,
            min(reason) as reason,
            max(case when replayed_at is null then 0 else 1 end) = 0 as is_waiting,
            body_sha256
        from {{ ref("stg_raw__received_lines") }}
        where kind = 'quarantined'
        group by source_id, body_sha256

    ),

    ledger as (

        select *
        from {{ ref("commission_ledger") }}
        where currency != '{{ var("reporting_currency") }}' and amount_rc is null

    ),

    -- moves between buckets leave the balance as it is
    amounts_without_a_rate as (

        select
            source_id,
            {{ no_text }} as exception_subject_id,
            'currency' as entity_type,
            currency || ' ' || cast(effective_date as {{ dbt.type_string() }}) as entity_id,
            {{ no_text }} as partner_id,
            {{ no_text }} as event_id,
            cast(null as timestamp) as occurred_at,
            sum(abs(amount)) as event_amount,
            currency as event_currency,
            effective_date as rate_date
        from ledger
        where entry_type not in ('approved', 'reserved', 'released')
        group by source_id, currency, effective_date

    ),

    exceptions as (

        select *
        from {{ ref("int_event_exceptions") }}
        {% for rule in [
                "inferred_partner",
                "parents_in_a_circle",
                "unknown_partner_type",
                "quarantined_event",
                "missing_fx_rate",
            ] %}
            union all
            {{ context["exception__" ~ rule]() }}
        {% endfor %}

    ),

    test_partners as (select * from {{ ref("int_test_partners") }}),

    data_exceptions as (

        select
            -- ids
            exceptions.source_id,
            exceptions.exception_id,
            exceptions.entity_id,
            exceptions.partner_id,
            exceptions.source_event_id,

            -- strings
            exceptions.rule,
            exceptions.severity,
            exceptions.entity_type,
            exceptions.detail,
            exceptions.currency,

            -- numerics
            exceptions.amount_at_risk,

            -- booleans
            exceptions.is_open,

            -- timestamps
            exceptions.occurred_at
        from exceptions
        left join
            test_partners
            on exceptions.source_id = test_partners.source_id
            and exceptions.partner_id = test_partners.partner_id
        where test_partners.partner_id is null

    )

select *
from data_exceptions
