{{
    config(
        unique_key=["source_id", "conversion_id"],
        touched_by="touched_conversions",
    )
}}

{% set touched = ref("touched_conversions") %}

with

    rejected_events as (

        select events.*
        from {{ ref("stg_raw__conversion_events") }} as events
        left join
            {{ ref("int_test_partners") }} as test_partners
            on events.source_id = test_partners.source_id
            and events.partner_id = test_partners.partner_id
        where
            events.event_type = 'conversion.rejected'
            and test_partners.partner_id is null
            and {{ only_touched("events", touched, ["source_id", "conversion_id"]) }}

    ),

    events_in_order as (select * from {{ ref("int_conversion_events_in_order") }}),

    conversion_states as (

        select *
        from {{ ref("int_conversion_states") }} as states
        where {{ only_touched("states", touched, ["source_id", "conversion_id"]) }}

    ),

    commissions as (

        select *
        from {{ ref("int_commission_states") }} as commissions
        where
            commissions.conversion_id is not null
            and {{ only_touched("commissions", touched, ["source_id", "conversion_id"]) }}

    ),

    ledger as (

        select *
        from {{ ref("commission_ledger") }}
        where entry_type in {{ commission_entry_types() }}

    ),

    booked_by_then as (

        select
            rejected_events.source_id,
            rejected_events.event_id,
            count(distinct ledger.currency) as currency_count,
            max(ledger.currency) as currency,
            sum(ledger.amount) as amount
        from rejected_events
        inner join
            commissions
            on rejected_events.source_id = commissions.source_id
            and rejected_events.conversion_id = commissions.conversion_id
        inner join
            ledger
            on commissions.source_id = ledger.source_id
            and commissions.commission_id = ledger.commission_id
            and rejected_events.occurred_at >= ledger.effective_at
        group by 1, 2

    ),

    fraud_rejections as (

        select
            -- ids
            rejected_events.source_id,
            rejected_events.event_id,
            rejected_events.conversion_id,
            rejected_events.partner_id,
            rejected_events.customer_id,
            rejected_events.rejection_rule_id as rule_id,

            -- strings
            rejected_events.rejection_reason_code as reason_code,
            rejected_events.rejection_category as category,
            rejected_events.rejection_reason_detail as reason_detail,
            rejected_events.rejection_platform_reason as platform_reason,
            rejected_events.rejection_decided_by as decided_by,
            coalesce(
                rejected_events.rejection_previous_status, events_in_order.previous_status
            ) as previous_status,
            case
                when rejected_events.value_amount is null
                then conversion_states.value_currency
                else rejected_events.value_currency
            end as value_currency,
            case
                when booked_by_then.source_id is null then conversion_states.preview_currency
            end as commission_avoided_currency,
            case
                when booked_by_then.currency_count = 1 then booked_by_then.currency
            end as commission_to_claw_back_currency,

            -- numerics
            rejected_events.rejection_fraud_score as fraud_score,
            coalesce(rejected_events.value_amount, conversion_states.value_amount) as value_amount,
            case
                when booked_by_then.source_id is null then conversion_states.preview_amount
            end as commission_avoided_amount,
            case
                when booked_by_then.currency_count = 1 then {{ money("booked_by_then.amount") }}
            end as commission_to_claw_back_amount,
            {{
                seconds_between(
                    "coalesce(conversion_states.created_event_at, conversion_states.conversion_occurred_at)",
                    "rejected_events.occurred_at",
                )
            }}
            as seconds_to_reject,

            -- booleans
            coalesce(rejected_events.rejection_category = 'fraud', false) as is_fraud,
            rejected_events.rejection_is_final as is_final,
            coalesce(
                conversion_states.last_qualified_number > events_in_order.event_number, false
            ) as was_reinstated,

            -- dates
            {{ reporting_date("rejected_events.occurred_at") }} as rejected_date,

            -- timestamps
            rejected_events.occurred_at
        from rejected_events
        inner join
            events_in_order
            on rejected_events.source_id = events_in_order.source_id
            and rejected_events.event_id = events_in_order.event_id
        inner join
            conversion_states
            on rejected_events.source_id = conversion_states.source_id
            and rejected_events.conversion_id = conversion_states.conversion_id
        left join
            booked_by_then
            on rejected_events.source_id = booked_by_then.source_id
            and rejected_events.event_id = booked_by_then.event_id

    )

select *
from fraud_rejections
