{{
    config(
        unique_key=["source_id", "payout_id"],
        touched_by="touched_payouts",
    )
}}

{% set touched = ref("touched_payouts") %}

{% set earlier -%}
    partition by source_id, payout_id
    order by event_number
    rows between unbounded preceding and 1 preceding
{%- endset %}

with

    payout_events as (

        select *
        from {{ ref("stg_raw__payout_events") }} as events
        where {{ only_touched("events", touched, ["source_id", "payout_id"]) }}

    ),

    ordered as (

        select
            source_id,
            payout_id,
            event_id,
            event_type,
            occurred_at,
            received_at,
            case
                event_type
                when 'payout.completed'
                then 'paid'
                when 'payout.failed'
                then 'released'
                else 'reserved'
            end as state,
            row_number() over (
                partition by source_id, payout_id order by {{ order_key("payout_events") }}
            ) as event_number
        from payout_events

    ),

    with_earlier_ends as (

        select
            *,
            max(case when state = 'paid' then event_number end) over (
                {{ earlier }}
            ) as last_paid_number,
            max(case when state = 'released' then event_number end) over (
                {{ earlier }}
            ) as last_released_number
        from ordered

    ),

    -- scheduled or processing after paid, with no failure between, says nothing new
    with_no_ops as (

        select
            *,
            state = 'reserved'
            and coalesce(last_paid_number, 0) > coalesce(last_released_number, 0) as is_no_op
        from with_earlier_ends

    ),

    payout_events_in_order as (

        select
            source_id,
            payout_id,
            event_id,
            event_type,
            occurred_at,
            received_at,
            event_number,
            state,
            is_no_op,
            lag(state) over (
                partition by source_id, payout_id, is_no_op order by event_number
            ) as previous_state
        from with_no_ops

    )

select *
from payout_events_in_order
