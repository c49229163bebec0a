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
            coalesce(tier_effective_from, {{ reporting_date("occurred_at") }}) as effective_from
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
            {{ reporting_date("occurred_at") }} as effective_from
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
