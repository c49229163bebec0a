{{
    config(
        unique_key=["source_id", "conversion_id"],
        touched_by="touched_conversions",
    )
}}

{% set touched = ref("touched_conversions") %}

{% set customer_columns = [
    "customer_id",
    "customer_external_id",
    "customer_country",
    "customer_registered_at",
    "customer_is_new",
    "customer_status",
] %}
{% set tracking_columns = [
    "tracking_click_id",
    "link_id",
    "campaign_id",
    "offer_id",
    "creative_id",
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
    "is_view_through",
] %}
{% set geo_columns = [
    "geo_country",
    "geo_region",
    "geo_city",
    "geo_source",
    "geo_declared_country",
] %}
{% set device_columns = [
    "device_type",
    "device_os",
    "device_browser",
    "device_fingerprint_hash",
    "device_ip_hash",
    "device_ip_prefix_hash",
    "device_user_agent_hash",
] %}
{% set scalar_columns = [
    "program_id",
    "conversion_type",
    "vertical",
    "external_id",
    "conversion_occurred_at",
    "clicked_at",
    "parent_conversion_id",
    "is_first",
    "entity_version",
    "qualifying_kind",
    "qualification_rule_id",
] %}
{% set preview_columns = [
    "preview_commission_id",
    "preview_model",
    "preview_amount",
    "preview_currency",
] %}

with

    conversion_events as (

        select *
        from {{ ref("stg_raw__conversion_events") }} as events
        where {{ only_touched("events", touched, ["source_id", "conversion_id"]) }}

    ),

    events_in_order as (

        select *
        from {{ ref("int_conversion_events_in_order") }} as events
        where {{ only_touched("events", touched, ["source_id", "conversion_id"]) }}

    ),

    numbered_events as (

        select
            conversion_events.*,
            events_in_order.event_number,
            {% for name, columns in [
                ("customer", customer_columns),
                ("tracking", tracking_columns),
                ("geo", geo_columns),
                ("device", device_columns),
            ] -%}
                (
                    {% for column in columns -%}
                        conversion_events.{{ column }} is not null{{ " or " if not loop.last }}
                    {%- endfor %}
                ) as has_{{ name }},
            {% endfor -%}
            events_in_order.stated_status,
            events_in_order.stated_status = 'qualified'
            and {{ distinct_from("events_in_order.previous_status", "'qualified'") }}
            as enters_qualified,
            events_in_order.event_type = 'conversion.rejected'
            or (
                events_in_order.stated_status = 'rejected'
                and {{ distinct_from("events_in_order.previous_status", "'rejected'") }}
            ) as rejects
        from conversion_events
        inner join
            events_in_order
            on conversion_events.source_id = events_in_order.source_id
            and conversion_events.event_id = events_in_order.event_id

    ),

    conversion_states as (

        select
            source_id,
            conversion_id,
            {{ latest("partner_id", "event_number") }} as partner_id,
            {%- for column in scalar_columns %}
                {{ latest(column, "event_number") }} as {{ column }},
            {%- endfor %}
            {%- for carrier, columns in [
                ("has_customer", customer_columns),
                ("has_tracking", tracking_columns),
                ("has_geo", geo_columns),
                ("has_device", device_columns),
                ("value_amount is not null", ["value_amount", "value_currency"]),
                ("preview_amount is not null", preview_columns),
                (
                    "event_type = 'conversion.rejected'",
                    ["rejection_reason_code", "rejection_category"],
                ),
            ] %}
                {%- for column in columns %}
                    {{ latest(column, "event_number", carrier) }} as {{ column }},
                {%- endfor %}
            {%- endfor %}
            coalesce({{ latest("stated_status", "event_number") }}, 'pending') as status,
            min(
                case when event_type = 'conversion.created' then occurred_at end
            ) as created_event_at,
            min(case when stated_status = 'qualified' then occurred_at end) as first_qualified_at,
            max(case when rejects then occurred_at end) as last_rejected_at,
            cast(sum(case when enters_qualified then 1 else 0 end) as bigint) as qualified_count,
            min(
                case when stated_status = 'qualified' then event_number end
            ) as first_qualified_number,
            max(
                case when stated_status = 'qualified' then event_number end
            ) as last_qualified_number,
            min(
                case when stated_status = 'rejected' then event_number end
            ) as first_rejected_number,
            max(case when stated_status = 'rejected' then event_number end) as last_rejected_number
        from numbered_events
        group by 1, 2

    )

select *
from conversion_states
