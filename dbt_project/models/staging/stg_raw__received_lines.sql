with

    event_conflicts as (select * from {{ ref("stg_raw__event_conflicts") }}),

    quarantined_events as (select * from {{ ref("stg_raw__quarantined_events") }}),

    deliveries as (select * from {{ ref("stg_raw__deliveries") }}),

    received_lines as (

        select
            'conflict' as kind,
            event_id || ':' || body_sha256 as line_key,
            source_id,
            event_id,
            event_type,
            delivery_id,
            body_sha256,
            cast(null as {{ dbt.type_string() }}) as reason,
            received_at,
            cast(null as timestamp) as replayed_at,
            load_seq
        from event_conflicts
        union all
        select
            'quarantined' as kind,
            delivery_id || ':' || cast(position as {{ dbt.type_string() }}) as line_key,
            source_id,
            event_id,
            event_type,
            delivery_id,
            body_sha256,
            reason,
            received_at,
            replayed_at,
            load_seq
        from quarantined_events
        union all
        select
            outcome || ' request' as kind,
            delivery_id as line_key,
            source_id,
            event_id,
            cast(null as {{ dbt.type_string() }}) as event_type,
            delivery_id,
            cast(null as {{ dbt.type_string() }}) as body_sha256,
            reason,
            received_at,
            cast(null as timestamp) as replayed_at,
            load_seq
        from deliveries

    )

select *
from received_lines
