{{
    config(
        unique_key=["source_id", "payout_id"],
        touched_by="touched_payouts",
    )
}}

{% set touched = ref("touched_payouts") %}

with

    payout_events as (

        select *
        from {{ ref("stg_raw__payout_events") }} as events
        where {{ only_touched("events", touched, ["source_id", "payout_id"]) }}

    ),

    events_in_order as (

        select *
        from {{ ref("int_payout_events_in_order") }} as events
        where {{ only_touched("events", touched, ["source_id", "payout_id"]) }}

    ),

    -- all moves of a payout are of what its newest event says it takes off the balance, from whom
    -- its newest event says
    newest_events as (

        select
            payout_events.source_id,
            payout_events.payout_id,
            payout_events.partner_id,
            coalesce(payout_events.debit_amount, payout_events.amount) as debit_amount,
            case
                when payout_events.debit_amount is null
                then payout_events.currency
                else payout_events.debit_currency
            end as debit_currency,
            row_number() over (
                partition by payout_events.source_id, payout_events.payout_id
                order by {{ order_key("payout_events", "desc") }}
            ) as newness
        from payout_events

    ),

    transitions as (

        select
            source_id,
            payout_id,
            event_id,
            occurred_at,
            received_at,
            case
                when state = 'reserved' and coalesce(previous_state, 'released') = 'released'
                then 'reserved'
                when state = 'paid' and previous_state = 'reserved'
                then 'paid_from_reserved'
                when state = 'paid' and coalesce(previous_state, 'released') = 'released'
                then 'paid_at_once'
                when state = 'released' and previous_state = 'reserved'
                then 'released'
                when state = 'released' and previous_state = 'paid'
                then 'returned'
            end as transition
        from events_in_order
        where not is_no_op

    ),

    legs as (

        select
            'reserved' as transition, 'reserved' as entry_type, 'payable' as bucket, -1 as direction
        union all
        select 'reserved', 'reserved', 'in_transit', 1
        union all
        select 'paid_from_reserved', 'paid', 'in_transit', -1
        union all
        select 'paid_at_once', 'paid', 'payable', -1
        union all
        select 'released', 'released', 'payable', 1
        union all
        select 'released', 'released', 'in_transit', -1
        union all
        select 'returned', 'returned', 'payable', 1

    ),

    payout_entries as (

        select
            transitions.source_id,
            {{ ledger_subject("payout", "transitions.payout_id") }} as ledger_subject_id,
            transitions.event_id,
            transitions.event_id || ':' || legs.entry_type || '_' || legs.bucket as ledger_entry_id,
            legs.entry_type,
            legs.bucket,
            newest_events.partner_id,
            newest_events.debit_currency as currency,
            {{ money("legs.direction * newest_events.debit_amount") }} as amount,
            transitions.occurred_at as effective_at,
            transitions.received_at,
            transitions.payout_id
        from transitions
        inner join legs on transitions.transition = legs.transition
        inner join
            newest_events
            on transitions.source_id = newest_events.source_id
            and transitions.payout_id = newest_events.payout_id
            and newest_events.newness = 1

    )

select *
from payout_entries
