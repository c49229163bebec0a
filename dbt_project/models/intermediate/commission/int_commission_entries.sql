{{
    config(
        unique_key=["source_id", "ledger_subject_id"],
        touched_by="touched_ledger_subjects",
    )
}}

{% set touched = ref("touched_ledger_subjects") %}

{% set calculating -%}
    partition by source_id, ledger_subject_id
    order by {{ order_key("touched_events") }}
{%- endset %}
{% set calculated_so_far -%}
    {{ calculating }}
    rows between unbounded preceding and current row
{%- endset %}

with

    commission_events as (

        select events.*, {{ ledger_subject_of("events") }} as ledger_subject_id
        from {{ ref("stg_raw__commission_events") }} as events
        where
            events.event_type
            in ('commission.calculated', 'commission.adjusted', 'commission.approved')

    ),

    touched_events as (

        select *
        from commission_events
        where {{ only_touched("commission_events", touched, ["source_id", "ledger_subject_id"]) }}

    ),

    approvals as (

        select
            *,
            row_number() over (
                partition by source_id, ledger_subject_id order by {{ order_key("touched_events") }}
            ) as approval_number
        from touched_events
        where event_type = 'commission.approved'

    ),

    first_approvals as (select * from approvals where approval_number = 1),

    calculations as (

        select
            *,
            row_number() over ({{ calculating }}) as calculation_number,
            first_value(currency) over ({{ calculated_so_far }}) as first_currency,
            first_value(entity_version) over ({{ calculated_so_far }}) as first_version
        from touched_events
        where event_type = 'commission.calculated'

    ),

    calculations_with_versions as (

        select
            *,
            max(case when currency = first_currency then entity_version end) over (
                partition by source_id, ledger_subject_id
                order by calculation_number
                rows between unbounded preceding and 1 preceding
            ) as highest_earlier_version
        from calculations

    ),

    -- a second calculation counts only as a newer version of the first; another one under the
    -- same id books nothing
    counting_calculations as (

        select
            *,
            lag(amount) over (
                partition by source_id, ledger_subject_id order by calculation_number
            ) as previous_amount
        from calculations_with_versions
        where
            calculation_number = 1
            or (
                currency = first_currency
                and first_version is not null
                and entity_version > highest_earlier_version
            )

    ),

    deltas as (

        select
            source_id,
            ledger_subject_id,
            event_id,
            occurred_at,
            received_at,
            partner_id,
            commission_id,
            cast(null as {{ dbt.type_string() }}) as adjustment_id,
            cast(null as {{ dbt.type_string() }}) as adjustment_type,
            currency,
            case when calculation_number = 1 then 'earned' else 'restated' end as entry_type,
            amount - coalesce(previous_amount, 0) as amount
        from counting_calculations
        union all
        select
            source_id,
            ledger_subject_id,
            event_id,
            occurred_at,
            received_at,
            partner_id,
            commission_id,
            adjustment_id,
            adjustment_type,
            delta_currency as currency,
            case
                when adjustment_type = 'partner_transfer' then 'transferred' else 'adjusted'
            end as entry_type,
            amount_delta as amount
        from touched_events
        where event_type = 'commission.adjusted'

    ),

    -- what comes at or after the approval is approved with it; the first calculation always waits
    -- for the approval's move
    bucketed_deltas as (

        select
            deltas.*,
            case
                when deltas.commission_id is null
                then 'payable'
                when
                    deltas.entry_type != 'earned'
                    and deltas.occurred_at >= first_approvals.occurred_at
                then 'payable'
                else 'pending'
            end as bucket
        from deltas
        left join
            first_approvals
            on deltas.source_id = first_approvals.source_id
            and deltas.ledger_subject_id = first_approvals.ledger_subject_id

    ),

    moves as (

        select
            first_approvals.source_id,
            first_approvals.ledger_subject_id,
            first_approvals.event_id,
            first_approvals.received_at,
            first_approvals.partner_id,
            first_approvals.commission_id,
            first_approvals.approved_amount,
            first_approvals.approved_currency,
            greatest(
                first_approvals.occurred_at,
                coalesce(calculations.occurred_at, first_approvals.occurred_at)
            ) as moved_at
        from first_approvals
        left join
            calculations
            on first_approvals.source_id = calculations.source_id
            and first_approvals.ledger_subject_id = calculations.ledger_subject_id
            and calculations.calculation_number = 1

    ),

    pending_at_move as (

        select
            moves.source_id,
            moves.ledger_subject_id,
            count(deltas.ledger_subject_id) as pending_count,
            count(
                case when deltas.currency = moves.approved_currency then 1 end
            ) as comparable_count,
            {{
                money(
                    "coalesce(sum(case when deltas.currency = moves.approved_currency then deltas.amount end), 0)"
                )
            }}
            as amount
        from moves
        left join
            bucketed_deltas as deltas
            on moves.source_id = deltas.source_id
            and moves.ledger_subject_id = deltas.ledger_subject_id
            and deltas.bucket = 'pending'
        group by 1, 2

    ),

    -- an amount approved in another currency than the pending ones cannot be compared with them:
    -- it is not booked
    variances as (

        select moves.*, {{ money("moves.approved_amount - pending_at_move.amount") }} as variance
        from moves
        inner join
            pending_at_move
            on moves.source_id = pending_at_move.source_id
            and moves.ledger_subject_id = pending_at_move.ledger_subject_id
        where
            moves.approved_amount != pending_at_move.amount
            and (pending_at_move.comparable_count > 0 or pending_at_move.pending_count = 0)

    ),

    pending_entries as (

        select
            source_id,
            ledger_subject_id,
            event_id,
            event_id
            || ':'
            || case
                when entry_type = 'transferred' then 'adjusted' else entry_type
            end as ledger_entry_id,
            entry_type,
            bucket,
            partner_id,
            currency,
            {{ money("amount") }} as amount,
            occurred_at as effective_at,
            received_at,
            commission_id,
            adjustment_id,
            adjustment_type
        from bucketed_deltas
        union all
        select
            source_id,
            ledger_subject_id,
            event_id,
            event_id || ':approval_variance' as ledger_entry_id,
            'approval_variance' as entry_type,
            'pending' as bucket,
            partner_id,
            approved_currency as currency,
            variance as amount,
            moved_at as effective_at,
            received_at,
            commission_id,
            cast(null as {{ dbt.type_string() }}) as adjustment_id,
            cast(null as {{ dbt.type_string() }}) as adjustment_type
        from variances

    ),

    moved_amounts as (

        select
            moves.source_id,
            moves.ledger_subject_id,
            moves.event_id,
            moves.moved_at,
            moves.received_at,
            moves.commission_id,
            pending_entries.partner_id,
            pending_entries.currency,
            {{ money("sum(pending_entries.amount)") }} as amount,
            count(*) over (partition by moves.source_id, moves.event_id) as moved_count
        from moves
        inner join
            pending_entries
            on moves.source_id = pending_entries.source_id
            and moves.ledger_subject_id = pending_entries.ledger_subject_id
            and pending_entries.bucket = 'pending'
        group by 1, 2, 3, 4, 5, 6, 7, 8

    ),

    legs as (

        select 'pending' as bucket, 'approved_out' as leg, -1 as direction
        union all
        select 'payable' as bucket, 'approved_in' as leg, 1 as direction

    ),

    approved_entries as (

        select
            moved_amounts.source_id,
            moved_amounts.ledger_subject_id,
            moved_amounts.event_id,
            moved_amounts.event_id
            || ':'
            || legs.leg
            || case
                when moved_amounts.moved_count = 1
                then ''
                else ':' || moved_amounts.partner_id || ':' || moved_amounts.currency
            end as ledger_entry_id,
            'approved' as entry_type,
            legs.bucket,
            moved_amounts.partner_id,
            moved_amounts.currency,
            {{ money("legs.direction * moved_amounts.amount") }} as amount,
            moved_amounts.moved_at as effective_at,
            moved_amounts.received_at,
            moved_amounts.commission_id,
            cast(null as {{ dbt.type_string() }}) as adjustment_id,
            cast(null as {{ dbt.type_string() }}) as adjustment_type
        from moved_amounts
        cross join legs

    ),

    commission_entries as (

        select *
        from pending_entries
        union all
        select *
        from approved_entries

    )

select *
from commission_entries
