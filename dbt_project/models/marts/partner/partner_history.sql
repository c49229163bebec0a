{{ config(materialized="table") }}

{% set spoken = [
    "status",
    "status_reason_code",
    "plan",
    "parent_partner_id",
    "manager_id",
    "group_id",
] %}
{% set tiers = ["tier", "tier_id", "tier_rank"] %}

with

    partner_events as (select * from {{ ref("stg_raw__partner_events") }}),

    tier_changes as (

        select * from {{ ref("int_partner_tiers_seen") }} where tier_change_id is not null

    ),

    snapshots as (select * from {{ ref("int_partner_snapshots") }}),

    test_partners as (select * from {{ ref("int_test_partners") }}),

    first_own_events as (

        select source_id, partner_id, min(occurred_at) as occurred_at
        from partner_events
        group by source_id, partner_id

    ),

    -- other events show a partner before its own first event, or at all
    first_mentions as (

        select snapshots.*, first_own_events.partner_id is null as is_all_there_is
        from snapshots
        left join
            first_own_events
            on snapshots.source_id = first_own_events.source_id
            and snapshots.partner_id = first_own_events.partner_id
        where
            first_own_events.partner_id is null
            or first_own_events.occurred_at > snapshots.first_seen_at

    ),

    moments as (

        select
            source_id,
            partner_id,
            occurred_at,
            lifecycle_rank,
            event_id,
            true as speaks,
            true as is_own,
            tier_id is not null or tier_name is not null as names_tier,
            case
                when event_type = 'partner.registered'
                then 'pending'
                when event_type = 'partner.approved'
                then 'active'
                else replace(event_type, 'partner.', '')
            end as status,
            reason_code as status_reason_code,
            plan_id as plan,
            partner_parent_id as parent_partner_id,
            partner_manager_id as manager_id,
            partner_group_id as group_id,
            coalesce(tier_name, tier_id) as tier,
            tier_id,
            tier_rank
        from partner_events
        union all
        select
            source_id,
            partner_id,
            occurred_at,
            lifecycle_rank,
            event_id,
            false as speaks,
            false as is_own,
            true as names_tier,
            {%- for _ in spoken %} cast(null as {{ dbt.type_string() }}), {%- endfor %}
            tier,
            tier_id,
            tier_rank
        from tier_changes
        union all
        select
            source_id,
            partner_id,
            first_seen_at as occurred_at,
            0 as lifecycle_rank,
            '' as event_id,
            true as speaks,
            false as is_own,
            false as names_tier,
            case when is_all_there_is then partner_status end as status,
            cast(null as {{ dbt.type_string() }}) as status_reason_code,
            cast(null as {{ dbt.type_string() }}) as plan,
            case when is_all_there_is then partner_parent_id end as parent_partner_id,
            case when is_all_there_is then partner_manager_id end as manager_id,
            case when is_all_there_is then partner_group_id end as group_id,
            cast(null as {{ dbt.type_string() }}) as tier,
            cast(null as {{ dbt.type_string() }}) as tier_id,
            cast(null as bigint) as tier_rank
        from first_mentions

    ),

    numbered_moments as (

        select
            moments.*,
            row_number() over (
                partition by moments.source_id, moments.partner_id, moments.occurred_at
                order by {{ order_key("moments", "desc") }}
            ) as place_from_the_end,
            {%- for number, condition in [
                ("spoken_number", "moments.speaks"),
                ("own_number", "moments.is_own"),
                ("tier_number", "moments.names_tier"),
            ] %}
                sum(case when {{ condition }} then 1 else 0 end) over (
                    partition by moments.source_id, moments.partner_id
                    order by {{ order_key("moments") }}
                    rows between unbounded preceding and current row
                ) as {{ number }} {{ "," if not loop.last }}
            {%- endfor %}
        from moments
        left join
            test_partners
            on moments.source_id = test_partners.source_id
            and moments.partner_id = test_partners.partner_id
        where test_partners.partner_id is null

    ),

    -- rows share a number until the next event that says something new, so one of them has it all
    states as (

        select
            source_id,
            partner_id,
            occurred_at,
            place_from_the_end,
            own_number = 0 as is_inferred,
            {%- for column in spoken %}
                max(case when speaks then {{ column }} end) over (
                    partition by source_id, partner_id, spoken_number
                ) as {{ column }},
            {%- endfor %}
            {%- for column in tiers %}
                max(case when names_tier then {{ column }} end) over (
                    partition by source_id, partner_id, tier_number
                ) as {{ column }} {{ "," if not loop.last }}
            {%- endfor %}
        from numbered_moments

    ),

    -- what held for no time at all is no spell
    states_that_lasted as (

        select
            *,
            {%- for column in spoken + tiers + ["is_inferred"] %}
                lag({{ column }}) over (
                    partition by source_id, partner_id order by occurred_at
                ) as previous_{{ column }},
            {%- endfor %}
            row_number() over (partition by source_id, partner_id order by occurred_at) as place
        from states
        where place_from_the_end = 1

    ),

    changes as (

        select *
        from states_that_lasted
        where
            place = 1
            {%- for column in spoken + tiers + ["is_inferred"] %}
                or {{ distinct_from(column, "previous_" ~ column) }}
            {%- endfor %}

    ),

    partner_history as (

        select
            -- ids
            source_id,
            partner_id,
            parent_partner_id,
            manager_id,
            group_id,
            tier_id,
            plan,

            -- strings
            status,
            status_reason_code,
            tier,

            -- numerics
            tier_rank,

            -- booleans
            lead(occurred_at) over (partition by source_id, partner_id order by occurred_at)
            is null as is_current,
            is_inferred,

            -- timestamps
            occurred_at as valid_from,
            lead(occurred_at) over (
                partition by source_id, partner_id order by occurred_at
            ) as valid_to
        from changes

    )

select *
from partner_history
