{{
    config(
        unique_key=["source_id", "payout_id"],
        touched_by="touched_reconciliations",
    )
}}

{% set touched = ref("touched_reconciliations") %}
{% set payout_key = ["source_id", "payout_id"] %}
{% set thing = "source_id, allocated_kind, allocated_id, currency" %}
{% set checks = [
    "currency_mismatch",
    "paid_twice",
    "paid_unapproved",
    "over_allocated",
    "under_allocated",
    "settled_differs",
] %}

with

    all_payouts as (select * from {{ ref("payouts") }}),

    payouts as (

        select * from all_payouts where {{ only_touched("all_payouts", touched, payout_key) }}

    ),

    allocations_by_thing as (select * from {{ ref("int_payout_allocations") }}),

    -- what another event of the payout said before its newest is not allocated any more
    all_allocations as (

        select
            allocations_by_thing.source_id,
            allocations_by_thing.payout_id,
            allocations_by_thing.allocated_kind,
            allocations_by_thing.allocated_id,
            nullif(allocations_by_thing.currency, '') as currency,
            allocations_by_thing.amount,
            allocations_by_thing.allocations,
            allocations_by_thing.allocations_without_amount,
            all_payouts.status = 'completed' as is_paid,
            all_payouts.completed_at
        from allocations_by_thing
        inner join
            all_payouts
            on allocations_by_thing.source_id = all_payouts.source_id
            and allocations_by_thing.payout_id = all_payouts.payout_id
        where allocations_by_thing.allocations > 0

    ),

    allocations as (

        select *
        from all_allocations
        where {{ only_touched("all_allocations", touched, payout_key) }}

    ),

    allocation_totals as (

        select
            source_id,
            payout_id,
            sum(allocations) as allocations,
            case
                when count(distinct currency) = 1 and sum(allocations_without_amount) = 0
                then sum(amount)
            end as allocated_amount,
            case when count(distinct currency) = 1 then max(currency) end as allocated_currency,
            max(case when currency is null then 0 else 1 end) = 1 as has_currency
        from allocations
        group by 1, 2

    ),

    things as (

        select distinct source_id, allocated_kind, allocated_id
        from allocations
        where allocated_kind != 'nothing'

    ),

    commissions_at_stake as (

        select source_id, allocated_id as commission_id
        from things
        where allocated_kind = 'commission'

    ),

    adjustments_at_stake as (

        select source_id, allocated_id as adjustment_id
        from things
        where allocated_kind = 'adjustment'

    ),

    ledger as (select * from {{ ref("commission_ledger") }}),

    commission_entries as (

        select *
        from ledger
        where
            bucket = 'payable'
            and {{ only_joined("ledger", "commissions_at_stake", ["source_id", "commission_id"]) }}

    ),

    adjustment_entries as (

        select *
        from ledger
        where
            adjustment_id is not null
            and {{ only_joined("ledger", "adjustments_at_stake", ["source_id", "adjustment_id"]) }}

    ),

    payout_entries as (

        select *
        from ledger
        where payout_id is not null and {{ only_touched("ledger", touched, payout_key) }}

    ),

    adjusted_commissions as (

        select distinct source_id, commission_id
        from adjustment_entries
        where commission_id is not null

    ),

    approvals as (

        select source_id, commission_id, min(effective_at) as payable_at
        from ledger
        where
            entry_type = 'approved'
            and {{ only_joined("ledger", "adjusted_commissions", ["source_id", "commission_id"]) }}
        group by 1, 2

    ),

    -- when each thing that can be paid became payable, and what it put on the payable balance
    payables as (

        select
            source_id,
            'commission' as allocated_kind,
            commission_id as allocated_id,
            currency,
            min(case when entry_type = 'approved' then effective_at end) as payable_at,
            sum(case when amount > 0 then amount else 0 end) as gained,
            sum(case when amount < 0 then - amount else 0 end) as lost
        from commission_entries
        where commission_id is not null
        group by source_id, commission_id, currency
        union all
        select
            entries.source_id,
            'adjustment' as allocated_kind,
            entries.adjustment_id as allocated_id,
            entries.currency,
            min(
                case
                    when entries.bucket = 'payable'
                    then entries.effective_at
                    else approvals.payable_at
                end
            ) as payable_at,
            sum(case when entries.amount > 0 then entries.amount else 0 end) as gained,
            sum(case when entries.amount < 0 then - entries.amount else 0 end) as lost
        from adjustment_entries as entries
        left join
            approvals
            on entries.source_id = approvals.source_id
            and entries.commission_id = approvals.commission_id
        group by entries.source_id, entries.adjustment_id, entries.currency

    ),

    payable_since as (

        select source_id, allocated_kind, allocated_id, min(payable_at) as payable_at
        from payables
        group by 1, 2, 3

    ),

    unapproved_payouts as (

        select distinct allocations.source_id, allocations.payout_id
        from allocations
        left join
            payable_since
            on allocations.source_id = payable_since.source_id
            and allocations.allocated_kind = payable_since.allocated_kind
            and allocations.allocated_id = payable_since.allocated_id
        where
            allocations.is_paid
            and allocations.allocated_kind != 'nothing'
            and (
                payable_since.payable_at is null
                or payable_since.payable_at > allocations.completed_at
            )

    ),

    paid_things as (

        select {{ thing }}, payout_id, completed_at, abs(sum(amount)) as amount
        from all_allocations
        where
            is_paid
            and allocated_kind != 'nothing'
            and {{
                only_joined(
                    "all_allocations",
                    "things",
                    ["source_id", "allocated_kind", "allocated_id"],
                )
            }}
        group by {{ thing }}, payout_id, completed_at

    ),

    paid_things_in_order as (

        select
            *,
            row_number() over (
                partition by {{ thing }} order by completed_at, {{ by_code_point("payout_id") }}
            ) as place,
            sum(amount) over (
                partition by {{ thing }}
                order by completed_at, {{ by_code_point("payout_id") }}
                rows between unbounded preceding and current row
            ) as amount_so_far
        from paid_things

    ),

    -- two payouts may share a commission, but not pay more than it was worth; nor may a payout and
    -- the one it tries again both go through
    payouts_paid_again as (

        select paid_things_in_order.source_id, paid_things_in_order.payout_id
        from paid_things_in_order
        left join
            payables
            on paid_things_in_order.source_id = payables.source_id
            and paid_things_in_order.allocated_kind = payables.allocated_kind
            and paid_things_in_order.allocated_id = payables.allocated_id
            and paid_things_in_order.currency = payables.currency
        where
            paid_things_in_order.place > 1
            and paid_things_in_order.amount_so_far
            > coalesce(greatest(payables.gained, payables.lost), 0)
            {{ union_distinct() }}
        select payouts.source_id, payouts.payout_id
        from payouts
        inner join
            all_payouts as tried_before
            on payouts.source_id = tried_before.source_id
            and payouts.retry_of_payout_id = tried_before.payout_id
            and payouts.payout_id != tried_before.payout_id
        where payouts.status = 'completed' and tried_before.status = 'completed'

    ),

    ledger_totals as (

        select source_id, payout_id, - sum(amount) as paid_amount from payout_entries group by 1, 2

    ),

    checked_payouts as (

        select
            payouts.*,
            allocation_totals.allocated_amount,
            allocation_totals.allocated_currency,
            coalesce(allocation_totals.allocations, 0) as allocations,
            coalesce(ledger_totals.paid_amount, 0) as paid_amount,
            coalesce(
                allocation_totals.has_currency
                and {{
                    distinct_from(
                        "allocation_totals.allocated_currency", "payouts.debit_currency"
                    )
                }},
                false
            ) as is_currency_mismatch,
            payouts_paid_again.payout_id is not null as is_paid_twice,
            unapproved_payouts.payout_id is not null as is_paid_unapproved,
            coalesce(
                allocation_totals.allocated_currency = payouts.debit_currency
                and allocation_totals.allocated_amount > payouts.debit_amount,
                false
            ) as is_over_allocated,
            coalesce(
                allocation_totals.allocated_currency = payouts.debit_currency
                and allocation_totals.allocated_amount < payouts.debit_amount,
                false
            ) as is_under_allocated,
            payouts.status = 'completed'
            and payouts.settled_amount is not null
            and (
                payouts.settled_amount != payouts.amount
                or payouts.settled_currency != payouts.currency
            ) as is_settled_differs
        from payouts
        left join
            allocation_totals
            on payouts.source_id = allocation_totals.source_id
            and payouts.payout_id = allocation_totals.payout_id
        left join
            payouts_paid_again
            on payouts.source_id = payouts_paid_again.source_id
            and payouts.payout_id = payouts_paid_again.payout_id
        left join
            unapproved_payouts
            on payouts.source_id = unapproved_payouts.source_id
            and payouts.payout_id = unapproved_payouts.payout_id
        left join
            ledger_totals
            on payouts.source_id = ledger_totals.source_id
            and payouts.payout_id = ledger_totals.payout_id

    ),

    payout_reconciliation as (

        select
            -- ids
            source_id,
            payout_id,
            partner_id,

            -- strings
            case
                {% for check in checks -%} when is_{{ check }} then '{{ check }}' {% endfor -%}
                else 'matched'
            end as reconciliation_status,
            status as payout_status,
            debit_currency,
            allocated_currency,
            currency,
            settled_currency,

            -- numerics
            debit_amount,
            {{ money("allocated_amount") }} as allocated_amount,
            {{ money("paid_amount") }} as paid_amount,
            amount,
            settled_amount,
            cast(allocations as bigint) as allocations,

            -- booleans
            {% for check in checks %} is_{{ check }}, {% endfor %}
            is_returned,

            -- timestamps
            completed_at
        from checked_payouts

    )

select *
from payout_reconciliation
