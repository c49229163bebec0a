with

    raw_hours as (

        {% for kind in ["click", "conversion", "commission", "payout", "partner"] %}
            select source_id, event_type, max(received_at) as newest
            from {{ ref("stg_raw__" ~ kind ~ "_events") }}
            group by 1, 2 {{ "union all" if not loop.last }}
        {% endfor %}

    ),

    mart_hours as (

        select source_id, event_type, max(received_hour) as newest_hour
        from {{ ref("pipeline_freshness") }}
        where events > 0
        group by 1, 2

    ),

    -- by the clock of raw: how old that is, `hookmart status` says
    stale as (

        select raw_hours.source_id, raw_hours.event_type, raw_hours.newest, mart_hours.newest_hour
        from raw_hours
        left join
            mart_hours
            on raw_hours.source_id = mart_hours.source_id
            and raw_hours.event_type = mart_hours.event_type
        where
            mart_hours.newest_hour is null
            or raw_hours.newest < mart_hours.newest_hour
            or raw_hours.newest >= {{ dbt.dateadd("hour", 1, "mart_hours.newest_hour") }}

    )

select *
from stale
