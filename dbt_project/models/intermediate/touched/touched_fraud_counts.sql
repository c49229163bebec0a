{#
    What a day's conversions share with others of 24 hours reaches into the two days after it, where one of them is short. A
    first deposit is measured by the smallest of 56 days, with any partner.
#}
with

    conversions as (

        select source_id, partner_id, value_currency, created_date as event_date
        from {{ ref("conversions") }}
        where
            {{ unless_all_is_derived() }}
            and conversion_type = 'first_deposit'
            and created_date is not null

    ),

    changed_minima as (

        select distinct source_id, value_currency, event_date
        from {{ ref("int_first_deposit_minima") }} as minima
        where {{ unless_all_is_derived() }} and {{ loaded_since_last_build("minima") }}

    ),

    deposits_after_changed_minima as (

        select distinct conversions.source_id, conversions.partner_id, conversions.event_date
        from conversions
        inner join
            changed_minima
            on conversions.source_id = changed_minima.source_id
            and conversions.value_currency = changed_minima.value_currency
            and conversions.event_date > changed_minima.event_date
            and {{ days_after("changed_minima.event_date", 56) }} >= conversions.event_date

    ),

    payout_events as (

        select *
        from {{ ref("stg_raw__payout_events") }}
        where {{ unless_all_is_derived() }} and destination_hash is not null

    ),

    -- whoever shares a destination of a payout is judged anew with it, on whatever day
    touched_destinations as (

        select distinct events.source_id, events.destination_hash
        from payout_events as events
        inner join
            {{ ref("touched_payouts") }} as touched
            on events.source_id = touched.source_id
            and events.payout_id = touched.payout_id

    ),

    payouts_to_touched_destinations as (

        select distinct events.source_id, events.payout_id
        from payout_events as events
        inner join
            touched_destinations
            on events.source_id = touched_destinations.source_id
            and events.destination_hash = touched_destinations.destination_hash

    ),

    events_of_shared_payouts as (

        select
            events.source_id,
            events.payout_id,
            events.partner_id,
            {{ reporting_date("events.occurred_at") }} as event_date
        from {{ ref("stg_raw__payout_events") }} as events
        inner join
            payouts_to_touched_destinations as payouts
            on events.source_id = payouts.source_id
            and events.payout_id = payouts.payout_id

    ),

    touched_fraud_counts as (

        {% for days in range(3) -%}
            select source_id, partner_id, {{ days_after("event_date", days) }} as event_date
            from {{ ref("touched_partner_days") }} {{ union_distinct() }}
        {% endfor %}
        select *
        from deposits_after_changed_minima {{ union_distinct() }}
        select partners.source_id, partners.partner_id, days.event_date
        from events_of_shared_payouts as partners
        inner join
            events_of_shared_payouts as days
            on partners.source_id = days.source_id
            and partners.payout_id = days.payout_id

    )

select *
from touched_fraud_counts
