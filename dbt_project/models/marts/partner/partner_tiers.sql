{{ config(materialized="table") }}

with

    tiers_seen as (

        select
            tiers_seen.*,
            coalesce(tiers_seen.plan_id, {{ none_given() }}) as plan,
            tiers_seen.tier_change_id is not null as is_change,
            case
                when tiers_seen.is_retroactive and tiers_seen.retroactive_from is not null
                then tiers_seen.retroactive_from
                else tiers_seen.effective_from
            end as begins_on
        from {{ ref("int_partner_tiers_seen") }} as tiers_seen
        left join
            {{ ref("int_test_partners") }} as test_partners
            on tiers_seen.source_id = test_partners.source_id
            and tiers_seen.partner_id = test_partners.partner_id
        where test_partners.partner_id is null

    ),

    -- newness counts down from the newest over all plans; only its order matters here
    tiers_in_order as (

        select
            *,
            max(case when is_change then newness end) over (
                partition by source_id, partner_id, plan
            ) as newness_of_first_change,
            lag(tier_id) over (
                partition by source_id, partner_id, plan order by newness desc
            ) as previous_tier_id,
            lag(tier) over (
                partition by source_id, partner_id, plan order by newness desc
            ) as previous_tier,
            row_number() over (
                partition by source_id, partner_id, plan order by newness desc
            ) as place
        from tiers_seen

    ),

    -- once changes are told, an event that merely shows the tier says nothing new about it
    entries as (

        select *
        from tiers_in_order
        where
            (effective_to is null or effective_to > begins_on)
            and (
                is_change
                or (
                    (newness_of_first_change is null or newness > newness_of_first_change)
                    and (
                        place = 1
                        or {{ distinct_from("tier_id", "previous_tier_id") }}
                        or {{ distinct_from("tier", "previous_tier") }}
                    )
                )
            )

    ),

    -- the later word counts from its first day on, over whatever was said of that day before
    entries_that_count as (

        select entries.*
        from entries
        where
            not exists (
                select 1
                from entries as later
                where
                    later.source_id = entries.source_id
                    and later.partner_id = entries.partner_id
                    and later.plan = entries.plan
                    and entries.newness > later.newness
                    and entries.begins_on >= later.begins_on
                    and (later.effective_to is null or later.effective_to > entries.begins_on)
            )

    ),

    entries_with_the_next as (

        select
            *,
            lead(begins_on) over (
                partition by source_id, partner_id, plan order by begins_on
            ) as next_begins_on
        from entries_that_count

    ),

    partner_tiers as (

        select
            -- ids
            source_id,
            partner_id,
            plan,
            tier_id,
            tier_change_id,
            event_id as source_event_id,

            -- strings
            tier,
            rate_type,
            rate_unit,
            trigger_metric as trigger,
            direction,

            -- numerics
            tier_rank as rank,
            rate,
            trigger_value,
            trigger_threshold,

            -- booleans
            is_retroactive,
            next_begins_on is null and effective_to is null as is_current,

            -- dates
            begins_on as effective_from,
            case
                when next_begins_on is null or effective_to < next_begins_on
                then effective_to
                else next_begins_on
            end as effective_to,
            effective_from as announced_from,

            -- timestamps
            occurred_at as changed_at
        from entries_with_the_next

    )

select *
from partner_tiers
