with

    click_events as ({{ without_payload(source("raw", "click_events")) }}),

    live_click_events as (

        select *
        from click_events
        where coalesce(livemode, true) or {{ var("include_test_events") }}

    )

select *
from live_click_events
