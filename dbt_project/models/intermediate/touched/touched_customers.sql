with

    conversion_events as (

        select * from {{ ref("stg_raw__conversion_events") }} where {{ unless_all_is_derived() }}

    ),

    -- every one they ever named, not only today's: whoever loses a conversion is told anew
    touched_customers as (

        select distinct events.source_id, events.customer_id
        from conversion_events as events
        inner join
            {{ ref("touched_conversions") }} as touched
            on events.source_id = touched.source_id
            and events.conversion_id = touched.conversion_id
        where events.customer_id is not null

    )

select *
from touched_customers
