with

    commission_events as ({{ without_payload(source("raw", "commission_events")) }}),

    live_commission_events as (

        select *
        from commission_events
        where coalesce(livemode, true) or {{ var("include_test_events") }}

    )

select *
from live_commission_events
