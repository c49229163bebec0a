{{
    config(
        unique_key=["source_id", "ledger_subject_id"],
        touched_by="touched_ledger_subjects",
    )
}}

{% set touched = ref("touched_ledger_subjects") %}

with

    ledger as (

        select *
        from {{ ref("commission_ledger") }} as ledger
        where {{ only_touched("ledger", touched, ["source_id", "ledger_subject_id"]) }}

    ),

    -- an approval takes its own commission out of pending, and a payout that failed gives back
    -- what it took
    ledger_items as (

        select
            source_id,
            ledger_subject_id,
            partner_id,
            currency,
            bucket,
            {{ money("sum(amount)") }} as amount,
            min(case when amount > 0 then effective_date end) as first_gain_date,
            min(case when amount < 0 then effective_date end) as first_loss_date
        from ledger
        group by 1, 2, 3, 4, 5
        having sum(amount) != 0

    )

select *
from ledger_items
