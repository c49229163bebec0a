with

    received as (

        {% for table in [
            "click_events",
            "conversion_events",
            "commission_events",
            "payout_events",
            "partner_events",
        ] %}
            select source_id, {{ hour_of("received_at") }} as received_hour
            from {{ ref("stg_raw__" ~ table) }} as events
            where {{ loaded_since_last_build("events") }}
            union all
        {% endfor %}
        select source_id, {{ hour_of("received_at") }} as received_hour
        from {{ ref("stg_raw__received_lines") }} as lines
        where {{ loaded_since_last_build("lines") }}

    ),

    touched_received_hours as (select distinct source_id, received_hour from received)

select *
from touched_received_hours
