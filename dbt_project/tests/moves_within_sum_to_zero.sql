with

    ledger as (select * from {{ ref("commission_ledger") }}),

    -- what leaves one bucket enters another, of the same partner and currency
    moves_that_do_not_cancel as (

        select source_id, source_event_id, entry_type, partner_id, currency
        from ledger
        where entry_type in ('approved', 'reserved', 'released')
        group by 1, 2, 3, 4, 5
        having sum(amount) != 0 or min(bucket) = max(bucket)

    ),

    in_transit_by_payments as (

        select source_id, payout_id, currency
        from ledger
        where bucket = 'in_transit'
        group by 1, 2, 3
        having sum(amount) < 0

    ),

    broken_moves as (

        select
            'moves do not cancel' as broken_rule, source_id, source_event_id as broken_id, currency
        from moves_that_do_not_cancel
        union all
        select 'more paid than was in transit' as broken_rule, source_id, payout_id, currency
        from in_transit_by_payments

    )

select *
from broken_moves
