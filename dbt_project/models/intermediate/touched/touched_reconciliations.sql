with

    touched_payouts as (select * from {{ ref("touched_payouts") }}),

    commission_events as (

        select * from {{ ref("stg_raw__commission_events") }} where {{ unless_all_is_derived() }}

    ),

    allocations as (

        select *
        from {{ ref("int_payout_allocations") }}
        where allocated_kind != 'nothing' and {{ unless_all_is_derived() }}

    ),

    payouts as (select * from {{ ref("payouts") }} where {{ unless_all_is_derived() }}),

    -- what may have become payable at another time, or be worth more or less
    commissions as (

        select source_id, 'commission' as allocated_kind, commission_id as allocated_id
        from {{ ref("touched_commissions") }}

    ),

    adjustments as (

        select
            events.source_id, 'adjustment' as allocated_kind, events.adjustment_id as allocated_id
        from commission_events as events
        inner join
            {{ ref("touched_ledger_subjects") }} as subjects
            on events.source_id = subjects.source_id
            and subjects.ledger_subject_id = {{ ledger_subject_of("events") }}
        where events.adjustment_id is not null

    ),

    -- every one that they ever named, not only today's: who else pays it may be the first to do so
    paid_by_touched_payouts as (

        select allocations.source_id, allocations.allocated_kind, allocations.allocated_id
        from allocations
        inner join
            touched_payouts
            on allocations.source_id = touched_payouts.source_id
            and allocations.payout_id = touched_payouts.payout_id

    ),

    things as (

        select *
        from commissions {{ union_distinct() }}
        select *
        from adjustments {{ union_distinct() }}
        select *
        from paid_by_touched_payouts

    ),

    touched_reconciliations as (

        select source_id, payout_id
        from touched_payouts {{ union_distinct() }}
        select payouts.source_id, payouts.payout_id
        from payouts
        inner join
            touched_payouts
            on payouts.source_id = touched_payouts.source_id
            and payouts.retry_of_payout_id = touched_payouts.payout_id {{ union_distinct() }}
        select allocations.source_id, allocations.payout_id
        from allocations
        inner join
            things
            on allocations.source_id = things.source_id
            and allocations.allocated_kind = things.allocated_kind
            and allocations.allocated_id = things.allocated_id

    )

select *
from touched_reconciliations
