{% set event_tables = [
    "click_events",
    "conversion_events",
    "commission_events",
    "payout_events",
    "partner_events",
] %}

with

    ledger as (

        select source_id, received_date, received - duplicate as expected
        from {{ source("raw", "loads") }}

        -- an event that gave way to an earlier copy was counted as loaded
        union all
        select source_id, cast(received_at as date) as received_date, -1 as expected
        from {{ source("raw", "displaced_events") }}

    ),

    held as (

        {% for table in event_tables %}
            select source_id, cast(received_at as date) as received_date
            from {{ source("raw", table) }}
            union all
        {% endfor %}
        select source_id, cast(received_at as date) as received_date
        from {{ source("raw", "quarantined_events") }}
        union all
        select source_id, cast(received_at as date) as received_date
        from {{ source("raw", "deliveries") }}
        where outcome = 'refused'

    ),

    differences as (

        select source_id, received_date, sum(expected) as unexplained
        from
            (
                select source_id, received_date, expected
                from ledger
                union all
                select source_id, received_date, - count(*) as expected
                from held
                group by source_id, received_date
            ) as both_sides
        group by source_id, received_date

    )

select *
from differences
where unexplained != 0
