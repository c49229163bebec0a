{#
    A signal of a day is judged by up to 62 days before it, and among the partners of its source. A first deposit is
    also the measure of those of 56 days, whose share is what 56 more are judged by: so a touched day touches the 112
    after it, of all partners.
#}
with

    partner_days as (select * from {{ ref("touched_partner_days") }}),

    days as (select distinct source_id, event_date from partner_days),

    offsets as (

        {% for offset in range(113) %}
            select {{ offset }} as days {{ "union all" if not loop.last }}
        {% endfor %}

    ),

    -- whoever shares a destination of a payout is judged anew with it, on whatever day
    touched_destinations as (

        select distinct events.source_id, events.destination_hash
        from {{ ref("stg_raw__payout_events") }} as events
        inner join
            {{ ref("touched_payouts") }} as touched
            on events.source_id = touched.source_id
            and events.payout_id = touched.payout_id
        where events.destination_hash is not null

    ),

    payouts_to_touched_destinations as (

        select distinct events.source_id, events.payout_id
        from {{ ref("stg_raw__payout_events") }} as events
        inner join
            touched_destinations
            on events.source_id = touched_destinations.source_id
            and events.destination_hash = touched_destinations.destination_hash

    ),

    touched_signal_days as (

        select distinct
            days.source_id, {{ days_after("days.event_date", "offsets.days") }} as event_date
        from days
        cross join offsets {{ union_distinct() }}
        select events.source_id, {{ reporting_date("events.occurred_at") }} as event_date
        from {{ ref("stg_raw__payout_events") }} as events
        inner join
            payouts_to_touched_destinations as payouts
            on events.source_id = payouts.source_id
            and events.payout_id = payouts.payout_id

    )

select *
from touched_signal_days
