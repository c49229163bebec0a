{{
    config(
        unique_key=["source_id", "received_hour"],
        touched_by="touched_received_hours",
    )
}}

{% set touched = ref("touched_received_hours") %}
{% set tables = [
    "click_events",
    "conversion_events",
    "commission_events",
    "payout_events",
    "partner_events",
] %}

{# Compared with what is there, before an hour is made of it. #}
{% set is_within_bounds -%}
    {%- if is_incremental() -%}
        received_at >= (select bounds.first_hour from bounds)
        and received_at < (select {{ hour_after("bounds.last_hour") }} from bounds)
    {%- else -%} true
    {%- endif -%}
{%- endset %}

with

    {% if is_incremental() %}
        bounds as (

            select min(received_hour) as first_hour, max(received_hour) as last_hour
            from {{ touched }}

        ),
    {% endif %}

    {% for table in tables -%}
        recent_{{ table }} as (

            select
                source_id,
                event_id,
                event_type,
                delivery_id,
                occurred_at,
                received_at,
                {{ hour_of("received_at") }} as received_hour
            from {{ ref("stg_raw__" ~ table) }}
            where {{ is_within_bounds }}

        ),

        touched_{{ table }} as (

            select *
            from recent_{{ table }} as events
            where {{ only_touched("events", touched, ["source_id", "received_hour"]) }}

        ),
    {% endfor %}

    touched_events as (

        {% for table in tables -%}
            select * from touched_{{ table }} {{ "union all" if not loop.last }}
        {% endfor %}

    ),

    events as (

        select *, {{ seconds_between("occurred_at", "received_at") }} as lateness
        from touched_events

    ),

    ranked_events as (

        select
            *,
            row_number() over (
                partition by source_id, received_hour, event_type order by lateness
            ) as lateness_rank,
            count(*) over (partition by source_id, received_hour, event_type) as event_count
        from events

    ),

    received_lines as (

        select *, {{ hour_of("received_at") }} as received_hour
        from {{ ref("stg_raw__received_lines") }}
        where {{ is_within_bounds }}

    ),

    lines as (

        select *
        from received_lines
        where {{ only_touched("received_lines", touched, ["source_id", "received_hour"]) }}

    ),

    -- what brought nothing new: few, so that looking for their events is cheap
    repeating_requests as (

        select lines.source_id, lines.event_id, lines.delivery_id, lines.received_hour
        from lines
        left join
            events
            on lines.source_id = events.source_id
            and lines.event_id = events.event_id
            and lines.delivery_id = events.delivery_id
        where
            lines.kind = 'accepted request'
            and lines.event_id is not null
            and events.source_id is null

    ),

    repetitions as (

        {% for table in tables -%}
            select
                repeating_requests.source_id,
                repeating_requests.received_hour,
                all_events.event_type
            from repeating_requests
            inner join
                {{ ref("stg_raw__" ~ table) }} as all_events
                on repeating_requests.source_id = all_events.source_id
                and repeating_requests.event_id = all_events.event_id
                {{ "union all" if not loop.last }}
        {% endfor %}

    ),

    counts as (

        select
            source_id,
            received_hour,
            event_type,
            count(*) as events,
            0 as duplicates,
            0 as conflicts,
            0 as quarantined,
            0 as refused,
            min(
                case when lateness_rank * 100 >= event_count * 50 then lateness end
            ) as lateness_p50_seconds,
            min(
                case when lateness_rank * 100 >= event_count * 95 then lateness end
            ) as lateness_p95_seconds,
            max(lateness) as lateness_max_seconds
        from ranked_events
        group by source_id, received_hour, event_type
        union all
        select source_id, received_hour, event_type, 0, count(*), 0, 0, 0, null, null, null
        from repetitions
        group by source_id, received_hour, event_type
        union all
        select
            source_id,
            received_hour,
            coalesce(event_type, '-') as event_type,
            0,
            0,
            sum(case when kind = 'conflict' then 1 else 0 end),
            sum(case when kind = 'quarantined' then 1 else 0 end),
            sum(case when kind = 'refused request' then 1 else 0 end),
            null,
            null,
            null
        from lines
        where kind in ('conflict', 'quarantined', 'refused request')
        group by source_id, received_hour, coalesce(event_type, '-')

    ),

    pipeline_freshness as (

        select
            -- ids
            source_id,

            -- strings
            event_type,

            -- numerics
            {%- for column in ["events", "duplicates", "conflicts", "quarantined", "refused"] %}
                cast(sum({{ column }}) as bigint) as {{ column }},
            {%- endfor %}
            {%- for column in ["p50", "p95", "max"] %}
                max(lateness_{{ column }}_seconds) as lateness_{{ column }}_seconds,
            {%- endfor %}

            -- timestamps
            received_hour
        from counts
        group by source_id, event_type, received_hour

    )

select *
from pipeline_freshness
