{{ config(materialized="table") }}

with

    tier_changes as (

        select *
        from {{ ref("stg_raw__commission_events") }}
        where event_type = 'commission.tier_changed'

    ),

    partner_events as (select * from {{ ref("stg_raw__partner_events") }}),

    tiers_seen as (

        select
            source_id,
            partner_id,
            occurred_at,
            lifecycle_rank,
            event_id,
            tier_change_plan_id as plan_id,
            coalesce(new_tier_name, new_tier_id) as tier,
            new_tier_id as tier_id,
            new_tier_rank as tier_rank,
            coalesce(tier_effective_from, {{ reporting_date("occurred_at") }}) as effective_from,
            tier_change_id,
            tier_effective_to as effective_to,
            coalesce(tier_is_retroactive, false) as is_retroactive,
            tier_retroactive_from as retroactive_from,
            new_tier_rate_value as rate,
            new_tier_rate_type as rate_type,
            new_tier_rate_unit as rate_unit,
            tier_trigger_metric as trigger_metric,
            tier_trigger_value as trigger_value,
            tier_trigger_threshold as trigger_threshold,
            tier_direction as direction
        from tier_changes
        union all
        select
            source_id,
            partner_id,
            occurred_at,
            lifecycle_rank,
            event_id,
            plan_id,
            coalesce(tier_name, tier_id) as tier,
            tier_id,
            tier_rank,
            {{ reporting_date("occurred_at") }} as effective_from,
            cast(null as {{ dbt.type_string() }}) as tier_change_id,
            cast(null as date) as effective_to,
            false as is_retroactive,
            cast(null as date) as retroactive_from,
            {{ rate("null") }} as rate,
            cast(null as {{ dbt.type_string() }}) as rate_type,
            cast(null as {{ dbt.type_string() }}) as rate_unit,
            cast(null as {{ dbt.type_string() }}) as trigger_metric,
            {{ rate("null") }} as trigger_value,
            {{ rate("null") }} as trigger_threshold,
            cast(null as {{ dbt.type_string() }}) as direction
        from partner_events
        where tier_id is not null or tier_name is not null

    ),

    partner_tiers_seen as (

        select
            *,
            row_number() over (
                partition by source_id, partner_id order by {{ order_key("tiers_seen", "desc") }}
            ) as newness
        from tiers_seen

    )

select *
from partner_tiers_seen
