with

    conversion_events as (

        select * from {{ ref("stg_raw__conversion_events") }} where {{ unless_all_is_derived() }}

    ),

    commission_events as (

        select * from {{ ref("stg_raw__commission_events") }} where {{ unless_all_is_derived() }}

    ),

    payout_events as (

        select * from {{ ref("stg_raw__payout_events") }} where {{ unless_all_is_derived() }}

    ),

    subjects_with_events as (

        select
            'conversion:' || events.conversion_id as subject_id,
            events.source_id,
            events.partner_id,
            events.occurred_at,
            events.conversion_occurred_at
        from conversion_events as events
        inner join
            {{ ref("touched_conversions") }} as touched
            on events.source_id = touched.source_id
            and events.conversion_id = touched.conversion_id
        union all
        select
            touched.ledger_subject_id as subject_id,
            events.source_id,
            events.partner_id,
            events.occurred_at,
            cast(null as {{ dbt.type_timestamp() }}) as conversion_occurred_at
        from commission_events as events
        inner join
            {{ ref("touched_ledger_subjects") }} as touched
            on events.source_id = touched.source_id
            and {{ ledger_subject_of("events") }} = touched.ledger_subject_id
        union all
        select
            touched.ledger_subject_id as subject_id,
            events.source_id,
            events.partner_id,
            events.occurred_at,
            cast(null as {{ dbt.type_timestamp() }}) as conversion_occurred_at
        from payout_events as events
        inner join
            {{ ref("touched_ledger_subjects") }} as touched
            on events.source_id = touched.source_id
            and {{ ledger_subject("payout", "events.payout_id") }} = touched.ledger_subject_id

    ),

    partners_of_subjects as (

        select distinct subject_id, source_id, partner_id from subjects_with_events

    ),

    days_of_subjects as (

        select subject_id, source_id, {{ reporting_date("occurred_at") }} as event_date
        from subjects_with_events {{ union_distinct() }}
        select subject_id, source_id, {{ reporting_date("conversion_occurred_at") }} as event_date
        from subjects_with_events
        where conversion_occurred_at is not null

    ),

    -- each partner that any event of it names, on each day that any event of it names: where it
    -- stood after earlier builds is among them, whatever the builds have kept of it
    touched_partner_days as (

        select partners.source_id, partners.partner_id, days.event_date
        from partners_of_subjects as partners
        inner join
            days_of_subjects as days
            on partners.source_id = days.source_id
            and partners.subject_id = days.subject_id {{ union_distinct() }}
        select source_id, partner_id, click_date as event_date
        from {{ ref("touched_clicks") }}

    )

select *
from touched_partner_days
