{{
    config(
        unique_key=["source_id", "click_id"],
        touched_by="touched_clicks",
    )
}}

{% set touched = ref("touched_clicks") %}

{% set columns = [
    "source_id",
    "click_id",
    "event_id",
    "partner_id",
    "program_id",
    "tracking_click_id",
    "link_id",
    "campaign_id",
    "offer_id",
    "creative_id",
    "validity",
    "invalid_reason",
    "click_trigger",
    "cost_currency",
    "coupon_code",
    "traffic_source",
    "traffic_medium",
    "referrer_domain",
    "landing_url",
    "sub1",
    "sub2",
    "sub3",
    "sub4",
    "sub5",
    "sub6",
    "sub7",
    "sub8",
    "sub9",
    "sub10",
    "attribution_model",
    "geo_country",
    "geo_region",
    "geo_city",
    "geo_source",
    "geo_declared_country",
    "device_type",
    "device_os",
    "device_browser",
    "device_fingerprint_hash",
    "device_ip_hash",
    "device_ip_prefix_hash",
    "device_user_agent_hash",
    "cost_amount",
    "is_unique",
    "is_bot",
    "is_view_through",
    "clicked_at",
] %}

with

    click_events as (

        select *
        from {{ ref("stg_raw__click_events") }} as events
        where {{ only_touched("events", touched, ["source_id", "click_id", "load_seq"]) }}

    ),

    test_partners as (select * from {{ ref("int_test_partners") }}),

    -- nearly every click is one event: only the others need an order
    clicks_of_several_events as (

        select source_id, click_id, min(occurred_at) as first_occurred_at
        from click_events
        group by source_id, click_id
        having count(*) > 1

    ),

    events_by_newness as (

        select
            click_events.*,
            clicks_of_several_events.first_occurred_at,
            row_number() over (
                partition by click_events.source_id, click_events.click_id
                order by {{ order_key("click_events", "desc") }}
            ) as newness
        from click_events
        inner join
            clicks_of_several_events
            on click_events.source_id = clicks_of_several_events.source_id
            and click_events.click_id = clicks_of_several_events.click_id

    ),

    newest_events as (

        select
            {%- for column in columns %} click_events.{{ column }}, {%- endfor %}
            click_events.occurred_at
        from click_events
        left join
            clicks_of_several_events
            on click_events.source_id = clicks_of_several_events.source_id
            and click_events.click_id = clicks_of_several_events.click_id
        where clicks_of_several_events.click_id is null
        union all
        select
            {%- for column in columns %} {{ column }}, {%- endfor %}
            first_occurred_at as occurred_at
        from events_by_newness
        where newness = 1

    ),

    clicks as (

        select
            -- ids
            events.source_id,
            events.click_id,
            events.event_id as source_event_id,
            events.partner_id,
            events.program_id,
            events.tracking_click_id,
            events.link_id,
            events.campaign_id,
            events.offer_id,
            events.creative_id,

            -- strings
            events.validity,
            events.invalid_reason,
            events.click_trigger,
            events.cost_currency,
            events.coupon_code,
            events.traffic_source,
            events.traffic_medium,
            events.referrer_domain,
            events.landing_url,
            events.sub1,
            events.sub2,
            events.sub3,
            events.sub4,
            events.sub5,
            events.sub6,
            events.sub7,
            events.sub8,
            events.sub9,
            events.sub10,
            events.attribution_model,
            events.geo_country,
            events.geo_region,
            events.geo_city,
            events.geo_source,
            events.geo_declared_country,
            events.device_type,
            events.device_os,
            events.device_browser,
            events.device_fingerprint_hash,
            events.device_ip_hash,
            events.device_ip_prefix_hash,
            events.device_user_agent_hash,

            -- numerics
            events.cost_amount,

            -- booleans
            events.is_unique,
            events.is_bot,
            events.is_view_through,

            -- dates
            {{ reporting_date("events.occurred_at") }} as click_date,

            -- timestamps
            events.occurred_at,
            events.clicked_at
        from newest_events as events
        left join
            test_partners
            on events.source_id = test_partners.source_id
            and events.partner_id = test_partners.partner_id
        where test_partners.partner_id is null

    )

select *
from clicks
