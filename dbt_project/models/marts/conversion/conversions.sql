{{
    config(
        unique_key=["source_id", "conversion_id"],
        touched_by="touched_conversions",
    )
}}

{% set touched = ref("touched_conversions") %}

with

    test_partners as (select * from {{ ref("int_test_partners") }}),

    all_touched_states as (

        select
            states.*, coalesce(states.created_event_at, states.conversion_occurred_at) as created_at
        from {{ ref("int_conversion_states") }} as states
        where {{ only_touched("states", touched, ["source_id", "conversion_id"]) }}

    ),

    touched_states as (

        select states.*
        from all_touched_states as states
        left join
            test_partners
            on states.source_id = test_partners.source_id
            and states.partner_id = test_partners.partner_id
        where test_partners.partner_id is null

    ),

    -- read apart from the above: one list for both would be made of all columns of all conversions
    states_with_a_business_key as (

        select
            source_id,
            conversion_id,
            partner_id,
            conversion_type,
            external_id,
            coalesce(created_event_at, conversion_occurred_at) as created_at
        from {{ ref("int_conversion_states") }}
        where
            conversion_type is not null
            and external_id in (select touched_states.external_id from touched_states)

    ),

    -- the same order may come under two conversion ids; whoever came first is the one that counts
    conversions_by_business_key as (

        select
            states.source_id,
            states.conversion_id,
            first_value(states.conversion_id) over (
                partition by states.source_id, states.conversion_type, states.external_id
                order by states.created_at, {{ by_code_point("states.conversion_id") }}
            ) as original_conversion_id
        from states_with_a_business_key as states
        left join
            test_partners
            on states.source_id = test_partners.source_id
            and states.partner_id = test_partners.partner_id
        where test_partners.partner_id is null

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

    commission_totals as (

        select
            commissions.source_id,
            commissions.conversion_id,
            max(ledger.currency) as commission_currency,
            {{ money("sum(ledger.amount)") }} as net_commission_amount
        from commissions
        inner join
            ledger
            on commissions.source_id = ledger.source_id
            and commissions.commission_id = ledger.commission_id
        group by 1, 2
        -- money of two currencies is never one amount
        having count(distinct ledger.currency) = 1

    ),

    conversions as (

        select
            -- ids
            states.source_id,
            states.conversion_id,
            states.partner_id,
            states.customer_id,
            states.external_id,
            states.parent_conversion_id,
            case
                when by_business_key.original_conversion_id != states.conversion_id
                then by_business_key.original_conversion_id
            end as duplicate_of_conversion_id,
            states.program_id,
            states.tracking_click_id as click_id,
            states.link_id,
            states.campaign_id,
            states.offer_id,
            states.creative_id,
            states.qualification_rule_id,

            -- strings
            states.conversion_type,
            states.vertical,
            states.status,
            states.value_currency,
            commission_totals.commission_currency,
            states.rejection_reason_code,
            states.rejection_category,
            states.qualifying_kind,
            states.customer_country,
            states.customer_status,
            states.coupon_code,
            states.traffic_source,
            states.traffic_medium,
            states.referrer_domain,
            states.landing_url,
            states.sub1,
            states.sub2,
            states.sub3,
            states.sub4,
            states.sub5,
            states.sub6,
            states.sub7,
            states.sub8,
            states.sub9,
            states.sub10,
            states.attribution_model,
            states.geo_country,
            states.geo_region,
            states.geo_city,
            states.geo_source,
            states.geo_declared_country,
            states.device_type,
            states.device_os,
            states.device_browser,
            states.device_fingerprint_hash,
            states.device_ip_hash,
            states.device_ip_prefix_hash,
            states.device_user_agent_hash,

            -- numerics
            states.value_amount,
            commission_totals.net_commission_amount,
            states.qualified_count,
            {{ seconds_between("states.clicked_at", "states.conversion_occurred_at") }}
            as seconds_click_to_conversion,
            {{ seconds_between("states.created_at", "states.first_qualified_at") }}
            as seconds_to_qualify,
            states.entity_version as version,

            -- booleans
            states.is_first,
            states.is_view_through,
            states.customer_is_new,
            coalesce(
                states.last_rejected_number > states.first_qualified_number, false
            ) as was_reversed,
            coalesce(
                states.last_qualified_number > states.first_rejected_number, false
            ) as was_reinstated,
            states.created_event_at is null as is_created_missing,

            -- dates
            {{ reporting_date("states.created_at") }} as created_date,

            -- timestamps
            states.created_at,
            states.conversion_occurred_at as occurred_at,
            states.clicked_at,
            states.first_qualified_at,
            states.last_rejected_at,
            states.customer_registered_at
        from touched_states as states
        left join
            conversions_by_business_key as by_business_key
            on states.source_id = by_business_key.source_id
            and states.conversion_id = by_business_key.conversion_id
        left join
            commission_totals
            on states.source_id = commission_totals.source_id
            and states.conversion_id = commission_totals.conversion_id

    )

select *
from conversions
