{{
    config(
        unique_key=["source_id", "commission_id"],
        touched_by="touched_commissions",
    )
}}

{% set touched = ref("touched_commissions") %}

with

    commission_events as (

        select
            events.*,
            row_number() over (
                partition by events.source_id, events.commission_id
                order by {{ order_key("events") }}
            ) as event_number
        from {{ ref("stg_raw__commission_events") }} as events
        where
            events.commission_id is not null
            and {{ only_touched("events", touched, ["source_id", "commission_id"]) }}

    ),

    commission_states as (

        select
            source_id,
            commission_id,
            {{ latest("conversion_id", "event_number") }} as conversion_id,
            {{ latest("customer_id", "event_number") }} as customer_id,
            {{ latest("partner_id", "event_number") }} as partner_id,
            {{ latest("plan_id", "event_number") }} as plan_id,
            {{ latest("plan_version", "event_number") }} as plan_version,
            {{ latest("tier_id", "event_number") }} as tier_id,
            {{ latest("payout_id", "event_number") }} as payout_id,
            {{ latest("sub_affiliate_source_partner_id", "event_number") }}
            as sub_affiliate_source_partner_id,
            {{ latest("sub_affiliate_source_commission_id", "event_number") }}
            as sub_affiliate_source_commission_id,
            {{ latest("program_id", "event_number") }} as program_id,
            {{ latest("commission_model", "event_number") }} as model,
            {{ latest("component", "event_number") }} as component,
            {{ latest("rate_type", "event_number") }} as rate_type,
            {{ latest("rate_unit", "event_number", "rate_value is not null") }} as rate_unit,
            {{ latest("rate_value", "event_number") }} as rate_value,
            {{ latest("quantity", "event_number") }} as quantity,
            {{ latest("sub_affiliate_level", "event_number") }} as sub_affiliate_level,
            {{ latest("entity_version", "event_number") }} as version,
            {{ latest("period_start", "event_number") }} as period_start,
            {{ latest("period_end", "event_number") }} as period_end,
            {{ latest("hold_until", "event_number") }} as hold_until,
            min(
                case when event_type = 'commission.calculated' then occurred_at end
            ) as calculated_at,
            min(case when event_type = 'commission.approved' then occurred_at end) as approved_at
        from commission_events
        group by 1, 2

    )

select *
from commission_states
