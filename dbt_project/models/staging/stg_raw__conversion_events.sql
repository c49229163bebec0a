with

    conversion_events as ({{ without_payload(source("raw", "conversion_events")) }}),

    live_conversion_events as (

        select *
        from conversion_events
        where coalesce(livemode, true) or {{ var("include_test_events") }}

    )

select *
from live_conversion_events
