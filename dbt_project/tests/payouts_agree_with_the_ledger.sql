with

    ledger as (select * from {{ ref("commission_ledger") }} where payout_id is not null),

    payouts as (select * from {{ ref("payouts") }}),

    ledger_totals as (

        select
            source_id,
            payout_id,
            sum(amount) as amount,
            sum(case when bucket = 'in_transit' then amount else 0 end) as in_transit
        from ledger
        group by 1, 2

    ),

    payouts_that_differ as (

        select
            coalesce(payouts.source_id, ledger_totals.source_id) as source_id,
            coalesce(payouts.payout_id, ledger_totals.payout_id) as payout_id,
            payouts.status,
            payouts.debit_amount,
            ledger_totals.amount,
            ledger_totals.in_transit
        from payouts
        full outer join
            ledger_totals
            on payouts.source_id = ledger_totals.source_id
            and payouts.payout_id = ledger_totals.payout_id
        where
            payouts.payout_id is null
            or coalesce(ledger_totals.in_transit, 0) != case
                when payouts.status in ('scheduled', 'processing') then payouts.debit_amount else 0
            end
            or coalesce(ledger_totals.amount, 0)
            != case when payouts.status = 'completed' then - payouts.debit_amount else 0 end

    )

select *
from payouts_that_differ
