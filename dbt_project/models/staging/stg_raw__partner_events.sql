with

    partner_events as ({{ without_payload(source("raw", "partner_events")) }}),

    live_partner_events as (

        select *
        from partner_events
        where coalesce(livemode, true) or {{ var("include_test_events") }}

    )

select *
from live_partner_events
