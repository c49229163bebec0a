{{ config(materialized="table") }}

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

    payouts as (select * from {{ ref("payouts") }}),

    ledger as (select * from {{ ref("commission_ledger") }}),

    payout_events as (select * from {{ ref("stg_raw__payout_events") }}),

    event_allocations as (

        select
            *,
            case
                when adjustment_id is not null
                then 'adjustment'
                when commission_id is not null
                then 'commission'
            end as allocated_kind,
            coalesce(adjustment_id, commission_id) as allocated_id
        from {{ ref("stg_raw__payout_allocations") }}

    ),

    allocating_events as (

        select
            payout_events.source_id,
            payout_events.payout_id,
            payout_events.event_id,
            row_number() over (
                partition by payout_events.source_id, payout_events.payout_id
                order by {{ order_key("payout_events", "desc") }}
            ) as newness
        from payout_events
        where
            exists (
                select 1
                from event_allocations
                where
                    event_allocations.source_id = payout_events.source_id
                    and event_allocations.event_id = payout_events.event_id
            )

    ),

    -- all from the newest event that says any
    allocations as (

        select
            allocating_events.payout_id,
            event_allocations.*,
            payouts.status = 'completed' as is_paid,
            payouts.completed_at
        from allocating_events
        inner join
            event_allocations
            on allocating_events.source_id = event_allocations.source_id
            and allocating_events.event_id = event_allocations.event_id
        inner join
            payouts
            on allocating_events.source_id = payouts.source_id
            and allocating_events.payout_id = payouts.payout_id
        where allocating_events.newness = 1

    ),

    allocation_totals as (

        select
            source_id,
            payout_id,
            count(*) as allocations,
            case
                when count(distinct currency) = 1 and count(amount) = count(*) then sum(amount)
            end as allocated_amount,
            case when count(distinct currency) = 1 then max(currency) end as allocated_currency,
            max(case when currency is null then 0 else 1 end) = 1 as has_currency
        from allocations
        group by 1, 2

    ),

    approvals as (

        select source_id, commission_id, min(effective_at) as payable_at
        from ledger
        where entry_type = 'approved'
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
        from ledger
        where bucket = 'payable' and commission_id is not null
        group by source_id, commission_id, currency
        union all
        select
            ledger.source_id,
            'adjustment' as allocated_kind,
            ledger.adjustment_id as allocated_id,
            ledger.currency,
            min(
                case
                    when ledger.bucket = 'payable'
                    then ledger.effective_at
                    else approvals.payable_at
                end
            ) as payable_at,
            sum(case when ledger.amount > 0 then ledger.amount else 0 end) as gained,
            sum(case when ledger.amount < 0 then - ledger.amount else 0 end) as lost
        from ledger
        left join
            approvals
            on ledger.source_id = approvals.source_id
            and ledger.commission_id = approvals.commission_id
        where ledger.adjustment_id is not null
        group by ledger.source_id, ledger.adjustment_id, ledger.currency

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
            and allocations.allocated_id is not null
            and (
                payable_since.payable_at is null
                or payable_since.payable_at > allocations.completed_at
            )

    ),

    paid_things as (

        select {{ thing }}, payout_id, completed_at, abs(sum(amount)) as amount
        from allocations
        where is_paid and allocated_id is not null
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
            payouts as tried_before
            on payouts.source_id = tried_before.source_id
            and payouts.retry_of_payout_id = tried_before.payout_id
            and payouts.payout_id != tried_before.payout_id
        where payouts.status = 'completed' and tried_before.status = 'completed'

    ),

    ledger_totals as (

        select source_id, payout_id, - sum(amount) as paid_amount
        from ledger
        where payout_id is not null
        group by 1, 2

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
