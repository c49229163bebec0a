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

    event_allocations as (

        select
            payout_events.source_id,
            payout_events.payout_id,
            case
                when event_allocations.adjustment_id is not null
                then 'adjustment'
                when event_allocations.commission_id is not null
                then 'commission'
                else 'nothing'
            end as allocated_kind,
            coalesce(
                event_allocations.adjustment_id, event_allocations.commission_id, ''
            ) as allocated_id,
            coalesce(event_allocations.currency, '') as currency,
            event_allocations.amount,
            -- all from the newest event that says any
            rank() over (
                partition by payout_events.source_id, payout_events.payout_id
                order by {{ order_key("payout_events", "desc") }}
            )
            = 1 as is_newest
        from payout_events
        inner join
            {{ ref("stg_raw__payout_allocations") }} as event_allocations
            on payout_events.source_id = event_allocations.source_id
            and payout_events.event_id = event_allocations.event_id

    ),

    payout_allocations as (

        select
            source_id,
            payout_id,
            allocated_kind,
            allocated_id,
            currency,
            {{ money("sum(case when is_newest then amount end)") }} as amount,
            cast(sum(case when is_newest then 1 else 0 end) as bigint) as allocations,
            cast(
                sum(case when is_newest and amount is null then 1 else 0 end) as bigint
            ) as allocations_without_amount
        from event_allocations
        group by 1, 2, 3, 4, 5

    )

select *
from payout_allocations
