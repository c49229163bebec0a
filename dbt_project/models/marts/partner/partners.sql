{{ config(materialized="table") }}

with recursive

    partner_events as (

        select
            events.*,
            row_number() over (
                partition by events.source_id, events.partner_id order by {{ order_key("events") }}
            ) as event_number
        from {{ ref("stg_raw__partner_events") }} as events

    ),

    snapshots as (select * from {{ ref("int_partner_snapshots") }}),

    test_partners as (select * from {{ ref("int_test_partners") }}),

    newest_tiers as (select * from {{ ref("int_partner_tiers_seen") }} where newness = 1),

    registered_partners as (

        select
            source_id,
            partner_id,
            {%- for column in [
                "partner_name",
                "partner_external_id",
                "partner_type",
                "partner_group_id",
                "partner_manager_id",
                "partner_parent_id",
                "partner_country",
                "program_id",
                "company_name",
                "email_hash",
                "language",
                "plan_id",
                "payout_method",
                "payout_currency",
                "min_payout_amount",
                "min_payout_currency",
                "kyc_status",
                "tax_status",
                "terms_version",
                "signup_source",
                "partner_registered_at",
            ] %}
                {{ latest(column, "event_number", "true") }} as {{ column }},
            {%- endfor %}
            {{ latest("event_type", "event_number") }} as newest_event_type,
            {{ latest("merged_into_partner_id", "event_number", "true") }}
            as merged_into_partner_id,
            {{ latest("reason_code", "event_number", "true") }} as status_reason_code,
            {%- for event in ["registered", "approved", "suspended", "terminated"] %}
                max(
                    case when event_type = 'partner.{{ event }}' then occurred_at end
                ) as {{ event }}_at,
            {%- endfor %}
            max(event_number) as partner_event_count
        from partner_events
        group by 1, 2

    ),

    known_ids as (

        select source_id, partner_id
        from registered_partners {{ union_distinct() }}
        select source_id, partner_id
        from snapshots

    ),

    parents as (

        select source_id, partner_parent_id as partner_id
        from registered_partners {{ union_distinct() }}
        select source_id, partner_parent_id
        from snapshots

    ),

    -- a parent nobody has sent an event of is a partner too: a roll-up to it must not lose money
    parents_never_seen as (

        select parents.source_id, parents.partner_id
        from parents
        left join
            known_ids
            on parents.source_id = known_ids.source_id
            and parents.partner_id = known_ids.partner_id
        where known_ids.partner_id is null and parents.partner_id is not null

    ),

    all_ids as (select * from known_ids {{ union_distinct() }} select * from parents_never_seen),

    described_partners as (

        select
            all_ids.source_id,
            all_ids.partner_id,
            registered.partner_id is null as is_inferred,
            {%- for column in [
                "name",
                "external_id",
                "type",
                "group_id",
                "manager_id",
                "parent_id",
                "country",
            ] %}
                case
                    when registered.partner_id is null
                    then snapshots.partner_{{ column }}
                    else registered.partner_{{ column }}
                end as {{ column }},
            {%- endfor %}
            case
                when registered.partner_id is null
                then snapshots.partner_status
                when registered.newest_event_type = 'partner.registered'
                then 'pending'
                when registered.newest_event_type = 'partner.approved'
                then 'active'
                else replace(registered.newest_event_type, 'partner.', '')
            end as status,
            coalesce(registered.program_id, snapshots.program_id) as program_id,
            registered.company_name,
            registered.email_hash,
            registered.language,
            registered.plan_id,
            registered.payout_method,
            registered.payout_currency,
            registered.min_payout_amount,
            registered.min_payout_currency,
            registered.kyc_status,
            registered.tax_status,
            registered.terms_version,
            registered.signup_source,
            registered.status_reason_code,
            case
                when registered.newest_event_type = 'partner.terminated'
                then registered.merged_into_partner_id
            end as merged_into_partner_id,
            registered.registered_at,
            registered.approved_at,
            registered.suspended_at,
            registered.terminated_at
        from all_ids
        left join
            registered_partners as registered
            on all_ids.source_id = registered.source_id
            and all_ids.partner_id = registered.partner_id
        left join
            snapshots
            on all_ids.source_id = snapshots.source_id
            and all_ids.partner_id = snapshots.partner_id
        left join
            test_partners
            on all_ids.source_id = test_partners.source_id
            and all_ids.partner_id = test_partners.partner_id
        where test_partners.partner_id is null

    ),

    -- up the line of parents; a circle of parents ends where it would repeat
    ancestors
    {{
        recursive_columns(
            ["source_id", "partner_id", "ancestor_id", "next_ancestor_id", "depth", "path"]
        )
    }} as (

        select
            source_id,
            partner_id,
            partner_id as ancestor_id,
            parent_id as next_ancestor_id,
            0 as depth,
            '|' || partner_id || '|' as path
        from described_partners
        union all
        select
            ancestors.source_id,
            ancestors.partner_id,
            parents.partner_id as ancestor_id,
            parents.parent_id as next_ancestor_id,
            ancestors.depth + 1 as depth,
            ancestors.path || parents.partner_id || '|' as path
        from ancestors
        inner join
            described_partners as parents
            on ancestors.source_id = parents.source_id
            and ancestors.next_ancestor_id = parents.partner_id
        where ancestors.path not like '%|' || parents.partner_id || '|%'

    ),

    roots as (

        select
            source_id,
            partner_id,
            ancestor_id as root_partner_id,
            depth,
            row_number() over (partition by source_id, partner_id order by depth desc) as distance
        from ancestors

    ),

    -- along the line of mergers, likewise
    survivors
    {{
        recursive_columns(
            ["source_id", "partner_id", "survivor_id", "next_survivor_id", "depth", "path"]
        )
    }} as (

        select
            source_id,
            partner_id,
            partner_id as survivor_id,
            merged_into_partner_id as next_survivor_id,
            0 as depth,
            '|' || partner_id || '|' as path
        from described_partners
        union all
        select
            survivors.source_id,
            survivors.partner_id,
            survivors.next_survivor_id as survivor_id,
            mergers.merged_into_partner_id as next_survivor_id,
            survivors.depth + 1 as depth,
            survivors.path || survivors.next_survivor_id || '|' as path
        from survivors
        left join
            described_partners as mergers
            on survivors.source_id = mergers.source_id
            and survivors.next_survivor_id = mergers.partner_id
        where
            survivors.next_survivor_id is not null
            and survivors.path not like '%|' || survivors.next_survivor_id || '|%'

    ),

    last_survivors as (

        select
            source_id,
            partner_id,
            survivor_id,
            row_number() over (partition by source_id, partner_id order by depth desc) as distance
        from survivors

    ),

    partners as (

        select
            -- ids
            described_partners.source_id,
            described_partners.partner_id,
            described_partners.external_id,
            described_partners.parent_id as parent_partner_id,
            roots.root_partner_id,
            last_survivors.survivor_id as surviving_partner_id,
            described_partners.group_id,
            described_partners.manager_id,
            described_partners.program_id,
            newest_tiers.tier_id,
            described_partners.plan_id as plan,

            -- strings
            described_partners.name,
            described_partners.company_name,
            described_partners.type as partner_type,
            described_partners.status,
            described_partners.status_reason_code,
            newest_tiers.tier,
            described_partners.country,
            described_partners.language,
            described_partners.email_hash,
            described_partners.payout_method,
            described_partners.payout_currency,
            described_partners.min_payout_currency,
            described_partners.kyc_status,
            described_partners.tax_status,
            described_partners.terms_version,
            described_partners.signup_source,

            -- numerics
            cast(roots.depth as bigint) as depth,
            newest_tiers.tier_rank,
            described_partners.min_payout_amount,

            -- booleans
            described_partners.is_inferred,

            -- timestamps
            described_partners.registered_at,
            described_partners.approved_at,
            described_partners.suspended_at,
            described_partners.terminated_at
        from described_partners
        left join
            roots
            on described_partners.source_id = roots.source_id
            and described_partners.partner_id = roots.partner_id
            and roots.distance = 1
        left join
            last_survivors
            on described_partners.source_id = last_survivors.source_id
            and described_partners.partner_id = last_survivors.partner_id
            and last_survivors.distance = 1
        left join
            newest_tiers
            on described_partners.source_id = newest_tiers.source_id
            and described_partners.partner_id = newest_tiers.partner_id

    )

select *
from partners
