{{
    config(
        unique_key=["source_id", "conversion_id"],
        touched_by="touched_conversions",
    )
}}

{% set touched = ref("touched_conversions") %}

with

    conversion_events as (

        select
            events.*,
            row_number() over (
                partition by events.source_id, events.conversion_id
                order by {{ order_key("events") }}
            ) as event_number,
            case
                when events.event_type = 'conversion.created'
                then 'pending'
                when events.event_type = 'conversion.qualified'
                then 'qualified'
                when events.event_type = 'conversion.rejected'
                then 'rejected'
                when events.status in ('pending', 'qualified', 'rejected')
                then events.status
            end as stated_status
        from {{ ref("stg_raw__conversion_events") }} as events
        where {{ only_touched("events", touched, ["source_id", "conversion_id"]) }}

    ),

    with_earlier_statements as (

        select
            *,
            count(stated_status) over (
                partition by source_id, conversion_id
                order by event_number
                rows between unbounded preceding and 1 preceding
            ) as earlier_statements
        from conversion_events

    ),

    -- a creation that comes after another state says nothing about the status
    with_statements as (

        select
            source_id,
            conversion_id,
            event_id,
            event_type,
            occurred_at,
            event_number,
            case
                when event_type = 'conversion.created' and earlier_statements > 0
                then null
                else stated_status
            end as stated_status
        from with_earlier_statements

    ),

    with_statement_numbers as (

        select
            *,
            count(stated_status) over (
                partition by source_id, conversion_id
                order by event_number
                rows between unbounded preceding and 1 preceding
            ) as earlier_statements
        from with_statements

    ),

    -- rows share earlier_statements until the next statement, so the first of each run carries
    -- the status before it
    conversion_events_in_order as (

        select
            events.source_id,
            events.conversion_id,
            events.event_id,
            events.event_type,
            events.occurred_at,
            events.event_number,
            events.stated_status,
            statements.stated_status as previous_status
        from with_statement_numbers as events
        left join
            with_statement_numbers as statements
            on events.source_id = statements.source_id
            and events.conversion_id = statements.conversion_id
            and events.earlier_statements = statements.earlier_statements + 1
            and statements.stated_status is not null

    )

select *
from conversion_events_in_order
