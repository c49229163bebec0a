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
    "category",
    "reason_code",
    "decided_by",
] %}
{% set money_columns = ["value", "commission_avoided", "commission_to_claw_back"] %}

with

    fx_rates as (select * from {{ ref("stg_raw__fx_rates") }}),

    all_rejections as (select *, rejected_date as event_date from {{ ref("fraud_rejections") }}),

    -- at the rates of the day of the rejection
    rejections as (

        select
            rejections.*,
            {%- for column in money_columns %}
                {{
                    in_reporting_currency(
                        "rejections." ~ column ~ "_amount",
                        "rejections." ~ column ~ "_currency",
                        column ~ "_rates.fx_rate",
                    )
                }} as {{ column }}_rc {{ "," if not loop.last }}
            {%- endfor %}
        from all_rejections as rejections
        {%- for column in money_columns %}
            left join
                fx_rates as {{ column }}_rates
                on rejections.{{ column }}_currency = {{ column }}_rates.currency
                and rejections.event_date = {{ column }}_rates.valid_on
        {%- endfor %}
        where {{ only_touched("rejections", touched, ["source_id", "partner_id", "event_date"]) }}

    ),

    conversions as (

        select conversions.*, conversions.created_date as event_date
        from {{ ref("conversions") }} as conversions
        where
            conversions.duplicate_of_conversion_id is null
            and conversions.created_date is not null
            and conversions.status in ('qualified', 'rejected')

    ),

    decided_conversions as (

        select *
        from conversions
        where {{ only_touched("conversions", touched, ["source_id", "partner_id", "event_date"]) }}

    ),

    newest_rejections as (

        select
            source_id,
            conversion_id,
            decided_by,
            row_number() over (
                partition by source_id, conversion_id
                order by occurred_at desc, {{ by_code_point("event_id") }} desc
            ) as newness
        from all_rejections

    ),

    counts as (

        select
            source_id,
            partner_id,
            event_date,
            coalesce(category, {{ none_given() }}) as category,
            coalesce(reason_code, {{ none_given() }}) as reason_code,
            coalesce(decided_by, {{ none_given() }}) as decided_by,
            1 as rejections,
            case when was_reinstated then 1 else 0 end as reinstated,
            0 as cohort_rejected,
            {%- for column in money_columns %}
                {{ column }}_rc,
                case
                    when {{ column }}_amount is not null and {{ column }}_rc is null then 1 else 0
                end as {{ column }}_without_rate {{ "," if not loop.last }}
            {%- endfor %}
        from rejections
        union all
        select
            conversions.source_id,
            conversions.partner_id,
            conversions.event_date,
            coalesce(conversions.rejection_category, {{ none_given() }}) as category,
            coalesce(conversions.rejection_reason_code, {{ none_given() }}) as reason_code,
            coalesce(newest_rejections.decided_by, {{ none_given() }}) as decided_by,
            0 as rejections,
            0 as reinstated,
            1 as cohort_rejected,
            {%- for column in money_columns %}
                {{ money("0") }} as {{ column }}_rc,
                0 as {{ column }}_without_rate {{ "," if not loop.last }}
            {%- endfor %}
        from decided_conversions as conversions
        left join
            newest_rejections
            on conversions.source_id = newest_rejections.source_id
            and conversions.conversion_id = newest_rejections.conversion_id
            and newest_rejections.newness = 1
        where conversions.status = 'rejected'

    ),

    sums as (

        select
            {{ grain | join(", ") }},
            {%- for column in ["rejections", "reinstated", "cohort_rejected"] %}
                cast(sum({{ column }}) as bigint) as {{ column }},
            {%- endfor %}
            {%- for column in money_columns %}
                case
                    when sum({{ column }}_without_rate) = 0
                    then {{ money("coalesce(sum(" ~ column ~ "_rc), 0)") }}
                end as {{ column }}_rc,
            {%- endfor %}
            sum(
                value_without_rate
                + commission_avoided_without_rate
                + commission_to_claw_back_without_rate
            )
            > 0 as is_rate_missing
        from counts
        group by {{ grain | join(", ") }}

    ),

    decided_by_day as (

        select source_id, partner_id, event_date, count(*) as cohort_decided
        from decided_conversions
        group by source_id, partner_id, event_date

    ),

    rejections_daily as (

        select
            -- ids
            sums.source_id,
            sums.partner_id,

            -- strings
            sums.category,
            sums.reason_code,
            sums.decided_by,
            '{{ var("reporting_currency") }}' as reporting_currency,

            -- numerics
            sums.rejections,
            sums.reinstated,
            sums.cohort_rejected,
            cast(coalesce(decided_by_day.cohort_decided, 0) as bigint) as cohort_decided,
            sums.value_rc,
            sums.commission_avoided_rc,
            sums.commission_to_claw_back_rc,
            {{
                fraction(
                    "sums.rejections",
                    "sum(sums.rejections) over (partition by sums.source_id, sums.partner_id, sums.event_date)",
                )
            }}
            as share,
            {{ fraction("sums.cohort_rejected", "decided_by_day.cohort_decided") }}
            as rejection_rate,

            -- booleans
            sums.is_rate_missing,

            -- dates
            sums.event_date
        from sums
        left join
            decided_by_day
            on sums.source_id = decided_by_day.source_id
            and sums.partner_id = decided_by_day.partner_id
            and sums.event_date = decided_by_day.event_date

    )

select *
from rejections_daily
