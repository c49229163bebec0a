{{
    config(
        unique_key=["source_id", "partner_id", "event_date"],
        touched_by="touched_partner_days",
    )
}}

{% set touched = ref("touched_partner_days") %}
{% set grain = [
    "source_id",
    "partner_id",
    "event_date",
    "traffic_source",
    "sub1",
    "country",
] %}
{% set click_counts = [
    "gross_clicks",
    "total_clicks",
    "unique_clicks",
    "invalid_clicks",
    "bot_clicks",
] %}
{% set conversion_counts = [
    ("conversions", "true"),
    ("first_conversions", "coalesce(is_first, true)"),
    ("registrations", "conversion_type = 'registration'"),
    ("first_deposits", "conversion_type = 'first_deposit'"),
    ("qualified", "status = 'qualified'"),
    ("rejected", "status = 'rejected'"),
    ("pending", "status = 'pending'"),
    ("rejected_for_fraud", "status = 'rejected' and rejection_category = 'fraud'"),
    ("values_without_rate", "value_amount is not null and value_rc is null"),
] %}

with

    clicks as (select *, click_date as event_date from {{ ref("int_clicks_by_day") }}),

    all_conversions as ({{ valued_conversions(touched) }}),

    conversions as (select * from all_conversions where duplicate_of_conversion_id is null),

    counts as (

        select
            {{ grain | join(", ") }},
            {%- for column in click_counts %} {{ column }}, {%- endfor %}
            {%- for column, _ in conversion_counts %} 0 as {{ column }}, {%- endfor %}
            {{ money("0") }} as value_rc
        from clicks
        where {{ only_touched("clicks", touched, ["source_id", "partner_id", "event_date"]) }}
        union all
        select
            source_id,
            partner_id,
            event_date,
            coalesce(traffic_source, {{ none_given() }}) as traffic_source,
            coalesce(sub1, {{ none_given() }}) as sub1,
            coalesce(geo_country, {{ none_given() }}) as country,
            {%- for column in click_counts %} 0 as {{ column }}, {%- endfor %}
            {%- for column, condition in conversion_counts %}
                case when {{ condition }} then 1 else 0 end as {{ column }},
            {%- endfor %}
            value_rc
        from conversions

    ),

    sums as (

        select
            {{ grain | join(", ") }},
            {%- for column in click_counts %}
                cast(sum({{ column }}) as bigint) as {{ column }},
            {%- endfor %}
            {%- for column, _ in conversion_counts %}
                cast(sum({{ column }}) as bigint) as {{ column }},
            {%- endfor %}
            sum(value_rc) as value_rc
        from counts
        group by {{ grain | join(", ") }}

    ),

    traffic_source_daily as (

        select
            -- ids
            source_id,
            partner_id,

            -- strings
            traffic_source,
            sub1,
            country,
            '{{ var("reporting_currency") }}' as reporting_currency,

            -- numerics
            {% for column in click_counts %} {{ column }}, {%- endfor %}
            {%- for column, _ in conversion_counts[:-1] %} {{ column }}, {%- endfor %}
            case
                when values_without_rate = 0 then {{ money("coalesce(value_rc, 0)") }}
            end as value_rc,
            {{ fraction("first_conversions", "unique_clicks") }} as conversion_rate,
            {{ fraction("qualified", "qualified + rejected") }} as approval_rate,
            {{ fraction("invalid_clicks", "gross_clicks") }} as invalid_click_rate,

            -- booleans
            values_without_rate > 0 as is_rate_missing,

            -- dates
            event_date
        from sums

    )

select *
from traffic_source_daily
