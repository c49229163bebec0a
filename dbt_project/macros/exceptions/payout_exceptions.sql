{# CTEs: the events of touched payouts. #}
{% macro payouts_to_judge() %}
    raw_payout_events as (

        select
            {%- for column in columns_to_judge("payout_events") %}
                events.{{ column }},
            {%- endfor %}
            {{ ledger_subject("payout", "events.payout_id") }} as exception_subject_id,
            'payout' as entity_type,
            events.payout_id as entity_id,
            coalesce(events.debit_amount, events.amount) as event_amount,
            case
                when events.debit_amount is null then events.currency else events.debit_currency
            end as event_currency
        from {{ ref("stg_raw__payout_events") }} as events
        where {{ only_touched("events", ref("touched_payouts"), ["source_id", "payout_id"]) }}

    ),

    payout_events as (

        select
            events.*,
            events_in_order.event_number,
            events_in_order.is_no_op,
            count(*) over (
                partition by events.source_id, events.exception_subject_id
            ) as event_count,
            sum(case when events.event_type = 'payout.scheduled' then 1 else 0 end) over (
                partition by events.source_id, events.exception_subject_id
            ) as scheduled_count,
            -- a step that was passed over leaves the payout completed
            case
                when events_in_order.is_no_op
                then 'payout.completed'
                else
                    lag(events.event_type) over (
                        partition by
                            events.source_id, events.exception_subject_id, events_in_order.is_no_op
                        order by events_in_order.event_number
                    )
            end as previous_event_type
        from raw_payout_events as events
        inner join
            {{ ref("int_payout_events_in_order") }} as events_in_order
            on events.source_id = events_in_order.source_id
            and events.payout_id = events_in_order.payout_id
            and events.event_id = events_in_order.event_id

    )
{% endmacro %}

{# A step that the payout's state does not allow; it books nothing. #}
{% macro exception__illegal_payout_transition() %}
    select
        {{
            exception_columns(
                "illegal_payout_transition",
                "events",
                detail="replace(events.event_type, 'payout.', '') || ' after ' || replace(events.previous_event_type, 'payout.', '')",
                is_open="events.event_number = events.event_count",
            )
        }}
    from payout_events as events
    where
        events.is_no_op
        or events.previous_event_type = events.event_type
        or (
            events.event_type = 'payout.scheduled'
            and events.previous_event_type = 'payout.processing'
        )
{% endmacro %}

{# A payout whose first event never came. #}
{% macro exception__payout_without_scheduled() %}
    select
        {{
            exception_columns(
                "payout_without_scheduled",
                "events",
                detail="'first known by ' || events.event_type",
            )
        }}
    from payout_events as events
    where events.event_number = 1 and events.scheduled_count = 0
{% endmacro %}

{# Paid, or arrived, in another currency than was taken off the balance, without a conversion that says so. #}
{% macro exception__payout_currency_mismatch() %}
    select
        {{
            exception_columns(
                "payout_currency_mismatch",
                "events",
                detail="events.event_currency || ' paid as ' || events.currency || coalesce(', arrived as ' || events.settled_currency, '')",
            )
        }}
    from payout_events as events
    where
        events.event_number = events.event_count
        and (
            (
                events.event_currency != events.currency
                and (
                    {{ distinct_from("events.fx_from", "events.event_currency") }}
                    or {{ distinct_from("events.fx_to", "events.currency") }}
                )
            )
            or events.settled_currency != events.currency
        )
{% endmacro %}
