with

    payout_events as ({{ without_payload(source("raw", "payout_events")) }}),

    live_payout_events as (

        select *
        from payout_events
        where coalesce(livemode, true) or {{ var("include_test_events") }}

    )

select *
from live_payout_events
