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

    events_in_order as (

        select *
        from {{ ref("int_payout_events_in_order") }} as events
        where {{ only_touched("events", touched, ["source_id", "payout_id"]) }}

    ),

    test_partners as (select * from {{ ref("int_test_partners") }}),

    numbered_events as (

        select
            payout_events.*,
            events_in_order.event_number,
            events_in_order.is_no_op,
            events_in_order.event_type = 'payout.completed' as is_completion,
            events_in_order.event_type = 'payout.failed' as is_failure
        from payout_events
        inner join
            events_in_order
            on payout_events.source_id = events_in_order.source_id
            and payout_events.event_id = events_in_order.event_id

    ),

    payout_states as (

        select
            source_id,
            payout_id,
            {%- for column in [
                "partner_id",
                "payout_batch_id",
                "retry_of_payout_id",
                "program_id",
                "destination_hash",
                "provider_reference",
                "method",
                "provider",
                "currency",
                "amount",
                "gross_amount",
                "gross_currency",
                "fee_amount",
                "fee_currency",
                "withholding_tax_amount",
                "withholding_tax_currency",
                "fx_from",
                "fx_to",
                "fx_rate",
                "attempt",
                "period_start",
                "period_end",
                "scheduled_for",
            ] %}
                {{ latest(column, "event_number", "true") }} as {{ column }},
            {%- endfor %}
            {{ latest("coalesce(debit_amount, amount)", "event_number", "true", "money") }}
            as debit_amount,
            {{
                latest(
                    "case when debit_amount is null then currency else debit_currency end",
                    "event_number",
                    "true",
                )
            }} as debit_currency,
            {{ latest("replace(event_type, 'payout.', '')", "event_number", "not is_no_op") }}
            as status,
            {{ latest("failure_category", "event_number", "is_failure") }} as failure_category,
            {{ latest("failure_code", "event_number", "is_failure") }} as failure_code,
            {{ latest("is_retryable", "event_number", "is_failure") }} as is_retryable,
            {{ latest("settled_amount", "event_number", "is_completion") }} as settled_amount,
            {{ latest("settled_currency", "event_number", "is_completion") }} as settled_currency,
            {{ latest("provider_fee_amount", "event_number", "is_completion") }}
            as provider_fee_amount,
            {{ latest("provider_fee_currency", "event_number", "is_completion") }}
            as provider_fee_currency,
            {{ latest("value_date", "event_number", "is_completion") }} as value_date,
            min(occurred_at) as first_event_at,
            max(case when is_completion then event_number end) as last_completion_number,
            max(case when is_failure then event_number end) as last_failure_number,
            min(
                case when event_type = 'payout.scheduled' and not is_no_op then occurred_at end
            ) as scheduled_at,
            min(
                case when event_type = 'payout.processing' and not is_no_op then occurred_at end
            ) as processing_at,
            max(case when is_completion then occurred_at end) as completed_at,
            max(case when is_failure then occurred_at end) as failed_at
        from numbered_events
        group by 1, 2

    ),

    payouts as (

        select
            -- ids
            payout_states.source_id,
            payout_states.payout_id,
            payout_states.partner_id,
            payout_states.payout_batch_id,
            payout_states.retry_of_payout_id,
            payout_states.program_id,
            payout_states.destination_hash,
            payout_states.provider_reference,

            -- strings
            payout_states.status,
            payout_states.method,
            payout_states.provider,
            payout_states.currency,
            payout_states.debit_currency,
            payout_states.gross_currency,
            payout_states.fee_currency,
            payout_states.withholding_tax_currency,
            payout_states.settled_currency,
            payout_states.provider_fee_currency,
            payout_states.fx_from,
            payout_states.fx_to,
            payout_states.failure_category,
            payout_states.failure_code,

            -- numerics
            payout_states.amount,
            payout_states.debit_amount,
            payout_states.gross_amount,
            payout_states.fee_amount,
            payout_states.withholding_tax_amount,
            payout_states.settled_amount,
            payout_states.provider_fee_amount,
            payout_states.fx_rate,
            payout_states.attempt,

            -- booleans
            -- returned by the bank after a completion, and not completed again since
            coalesce(
                payout_states.last_failure_number > payout_states.last_completion_number, false
            ) as is_returned,
            payout_states.is_retryable,

            -- dates
            payout_states.period_start,
            payout_states.period_end,
            payout_states.scheduled_for,
            payout_states.value_date,

            -- timestamps
            payout_states.first_event_at,
            payout_states.scheduled_at,
            payout_states.processing_at,
            payout_states.completed_at,
            payout_states.failed_at
        from payout_states
        left join
            test_partners
            on payout_states.source_id = test_partners.source_id
            and payout_states.partner_id = test_partners.partner_id
        where test_partners.partner_id is null

    )

select *
from payouts
