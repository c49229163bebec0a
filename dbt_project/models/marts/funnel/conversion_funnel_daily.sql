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
    "campaign_id",
    "country",
    "vertical",
] %}

with

    clicks as (

        select *, click_date as event_date, {{ none_given() }} as vertical
        from {{ ref("int_clicks_by_day") }}

    ),

    conversions as ({{ valued_conversions(touched) }}),

    conversions_by_time as (

        select
            conversions.source_id,
            conversions.partner_id,
            conversions.event_date,
            coalesce(conversions.campaign_id, {{ none_given() }}) as campaign_id,
            coalesce(conversions.geo_country, {{ none_given() }}) as country,
            coalesce(conversions.vertical, {{ none_given() }}) as vertical,
            conversions.conversion_type,
            conversions.status,
            conversions.value_amount,
            conversions.value_rc,
            conversions.seconds_to_qualify,
            conversions.qualified_count > 0 as was_qualified,
            conversions.was_reversed,
            conversions.click_id is null as is_clickless,
            coalesce(conversions.is_view_through, false) as is_view_through,
            coalesce(conversions.is_first, true) as is_first,
            conversions.duplicate_of_conversion_id is null as counts
        from conversions

    ),

    ranked_conversions as (

        select
            *,
            row_number() over (
                partition by {{ grain | join(", ") }}, counts, seconds_to_qualify is null
                order by seconds_to_qualify
            ) as time_rank,
            count(seconds_to_qualify) over (partition by {{ grain | join(", ") }}, counts) as times
        from conversions_by_time

    ),

    conversion_counts as (

        select
            {{ grain | join(", ") }},
            {%- for name, condition in [
                ("conversions", "counts"),
                ("first_conversions", "counts and is_first"),
                ("registrations", "counts and conversion_type = 'registration'"),
                ("first_deposits", "counts and conversion_type = 'first_deposit'"),
                (
                    "qualified_first_deposits",
                    "counts and conversion_type = 'first_deposit' and status = 'qualified'",
                ),
                ("qualified", "counts and status = 'qualified'"),
                ("rejected", "counts and status = 'rejected'"),
                ("pending", "counts and status = 'pending'"),
                ("ever_qualified", "counts and was_qualified"),
                ("reversed", "counts and was_reversed"),
                ("view_through_conversions", "counts and is_view_through"),
                ("clickless_conversions", "counts and is_clickless"),
                ("duplicate_conversions", "not counts"),
                (
                    "values_without_rate",
                    "counts and value_amount is not null and value_rc is null",
                ),
            ] %}
                sum(case when {{ condition }} then 1 else 0 end) as {{ name }},
            {%- endfor %}
            sum(case when counts then value_rc else 0 end) as value_rc,
            sum(
                case when counts and status = 'qualified' then value_rc else 0 end
            ) as qualified_value_rc,
            {%- for percent in [50, 90] %}
                {{
                    percentile(
                        "case when counts then seconds_to_qualify end",
                        percent,
                        "time_rank",
                        "times",
                    )
                }} as seconds_to_qualify_p{{ percent }} {{ "," if not loop.last }}
            {%- endfor %}
        from ranked_conversions
        group by {{ grain | join(", ") }}

    ),

    click_counts as (

        select
            {{ grain | join(", ") }},
            sum(gross_clicks) as gross_clicks,
            sum(total_clicks) as total_clicks,
            sum(unique_clicks) as unique_clicks
        from clicks
        where {{ only_touched("clicks", touched, ["source_id", "partner_id", "event_date"]) }}
        group by {{ grain | join(", ") }}

    ),

    all_keys as (

        select {{ grain | join(", ") }}
        from click_counts {{ union_distinct() }}
        select {{ grain | join(", ") }}
        from conversion_counts

    ),

    -- clicks know no vertical, so a row's share of the conversion rate is by the clicks of all
    all_counts as (

        select
            {%- for column in grain %} all_keys.{{ column }}, {%- endfor %}
            {%- for column in ["gross_clicks", "total_clicks", "unique_clicks"] %}
                cast(coalesce(click_counts.{{ column }}, 0) as bigint) as {{ column }},
            {%- endfor %}
            sum(coalesce(click_counts.unique_clicks, 0)) over (
                partition by
                    all_keys.source_id,
                    all_keys.partner_id,
                    all_keys.event_date,
                    all_keys.campaign_id,
                    all_keys.country
            ) as unique_clicks_of_all_verticals,
            {%- for column in [
                "conversions",
                "first_conversions",
                "registrations",
                "first_deposits",
                "qualified_first_deposits",
                "qualified",
                "rejected",
                "pending",
                "ever_qualified",
                "reversed",
                "view_through_conversions",
                "clickless_conversions",
                "duplicate_conversions",
                "values_without_rate",
            ] %}
                cast(coalesce(conversion_counts.{{ column }}, 0) as bigint) as {{ column }},
            {%- endfor %}
            conversion_counts.value_rc,
            conversion_counts.qualified_value_rc,
            conversion_counts.seconds_to_qualify_p50,
            conversion_counts.seconds_to_qualify_p90
        from all_keys
        {%- for table in ["click_counts", "conversion_counts"] %}
            left join
                {{ table }}
                on all_keys.source_id = {{ table }}.source_id
                and all_keys.partner_id = {{ table }}.partner_id
                and all_keys.event_date = {{ table }}.event_date
                and all_keys.campaign_id = {{ table }}.campaign_id
                and all_keys.country = {{ table }}.country
                and all_keys.vertical = {{ table }}.vertical
        {%- endfor %}

    ),

    conversion_funnel_daily as (

        select
            -- ids
            source_id,
            partner_id,
            campaign_id,

            -- strings
            country,
            vertical,
            '{{ var("reporting_currency") }}' as reporting_currency,

            -- numerics
            gross_clicks,
            total_clicks,
            unique_clicks,
            conversions,
            first_conversions,
            registrations,
            first_deposits,
            qualified_first_deposits,
            qualified,
            rejected,
            pending,
            ever_qualified,
            reversed,
            view_through_conversions,
            clickless_conversions,
            duplicate_conversions,
            case
                when values_without_rate = 0 then {{ money("coalesce(value_rc, 0)") }}
            end as value_rc,
            case
                when values_without_rate = 0 then {{ money("coalesce(qualified_value_rc, 0)") }}
            end as qualified_value_rc,
            {{ fraction("first_conversions", "unique_clicks_of_all_verticals") }}
            as conversion_rate,
            {{ fraction("qualified", "qualified + rejected") }} as approval_rate,
            {{ fraction("reversed", "ever_qualified") }} as reversal_rate,
            seconds_to_qualify_p50,
            seconds_to_qualify_p90,

            -- booleans
            values_without_rate > 0 as is_rate_missing,
            pending = 0 as is_mature,

            -- dates
            event_date
        from all_counts

    )

select *
from conversion_funnel_daily
