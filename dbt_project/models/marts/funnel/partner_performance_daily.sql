{{
    config(
        unique_key=["source_id", "partner_id", "event_date"],
        touched_by="touched_partner_days",
    )
}}

{% set touched = ref("touched_partner_days") %}
{% set grain = ["source_id", "partner_id", "event_date", "currency"] %}
{% set counted = {
    "gross_clicks": "clicks",
    "total_clicks": "clicks",
    "unique_clicks": "clicks",
    "conversions": "true",
    "first_conversions": "coalesce(is_first, true)",
    "registrations": "conversion_type = 'registration'",
    "first_deposits": "conversion_type = 'first_deposit'",
    "qualified_first_deposits": "conversion_type = 'first_deposit' and status = 'qualified'",
    "qualified": "status = 'qualified'",
    "rejected": "status = 'rejected'",
    "pending": "status = 'pending'",
} %}
{% set booked = {
    "earned": "entry_type in ('earned', 'restated')",
    "adjusted": "entry_type in ('adjusted', 'approval_variance')",
    "transferred": "entry_type = 'transferred'",
    "approved": "entry_type = 'approved' and bucket = 'payable'",
    "paid": "entry_type = 'paid'",
    "returned": "entry_type = 'returned'",
} %}

with

    clicks as (select *, click_date as event_date from {{ ref("int_clicks_by_day") }}),

    conversions as (

        select *, created_date as event_date
        from {{ ref("conversions") }}
        where duplicate_of_conversion_id is null and created_date is not null

    ),

    ledger as (select *, effective_date as event_date from {{ ref("commission_ledger") }}),

    -- what has no currency stands in the row of the reporting currency, so that no sum counts it
    -- twice
    figures as (

        select
            source_id,
            partner_id,
            event_date,
            '{{ var("reporting_currency") }}' as currency,
            {%- for column, source in counted.items() %}
                {{ column if source == "clicks" else 0 }} as {{ column }},
            {%- endfor %}
            {%- for column in booked %} {{ money("0") }} as {{ column }}, {%- endfor %}
            {{ money("0") }} as revenue,
            {{ money("0") }} as cohort_commission
        from clicks
        where {{ only_touched("clicks", touched, ["source_id", "partner_id", "event_date"]) }}
        union all
        select
            source_id,
            partner_id,
            event_date,
            '{{ var("reporting_currency") }}' as currency,
            {%- for column, condition in counted.items() %}
                {% if condition == "clicks" -%} 0
                {%- else -%} case when {{ condition }} then 1 else 0 end
                {%- endif %} as {{ column }},
            {%- endfor %}
            {%- for column in booked %} {{ money("0") }} as {{ column }}, {%- endfor %}
            {{ money("0") }} as revenue,
            {{ money("0") }} as cohort_commission
        from conversions
        where {{ only_touched("conversions", touched, ["source_id", "partner_id", "event_date"]) }}
        union all
        select
            source_id,
            partner_id,
            event_date,
            value_currency as currency,
            {%- for column in counted %} 0 as {{ column }}, {%- endfor %}
            {%- for column in booked %} {{ money("0") }} as {{ column }}, {%- endfor %}
            value_amount as revenue,
            {{ money("0") }} as cohort_commission
        from conversions
        where
            value_amount is not null
            and status != 'rejected'
            and {{ only_touched("conversions", touched, ["source_id", "partner_id", "event_date"]) }}
        union all
        select
            source_id,
            partner_id,
            event_date,
            commission_currency as currency,
            {%- for column in counted %} 0 as {{ column }}, {%- endfor %}
            {%- for column in booked %} {{ money("0") }} as {{ column }}, {%- endfor %}
            {{ money("0") }} as revenue,
            net_commission_amount as cohort_commission
        from conversions
        where
            net_commission_amount is not null
            and {{ only_touched("conversions", touched, ["source_id", "partner_id", "event_date"]) }}
        union all
        select
            source_id,
            partner_id,
            event_date,
            currency,
            {%- for column in counted %} 0 as {{ column }}, {%- endfor %}
            {%- for column, condition in booked.items() %}
                case
                    when {{ condition }}
                    then {{ "-amount" if column == "paid" else "amount" }}
                    else 0
                end as {{ column }},
            {%- endfor %}
            {{ money("0") }} as revenue,
            {{ money("0") }} as cohort_commission
        from ledger
        where {{ only_touched("ledger", touched, ["source_id", "partner_id", "event_date"]) }}

    ),

    sums as (

        select
            {{ grain | join(", ") }},
            {%- for column in counted %}
                cast(sum({{ column }}) as bigint) as {{ column }},
            {%- endfor %}
            {%- for column in booked %}
                {{ money("sum(" ~ column ~ ")") }} as {{ column }},
            {%- endfor %}
            {{ money("sum(earned + adjusted)") }} as net_commission,
            {{ money("sum(revenue)") }} as revenue,
            {{ money("sum(cohort_commission)") }} as cohort_commission
        from figures
        group by {{ grain | join(", ") }}

    ),

    sums_with_counts_of_the_day as (

        select
            *,
            {%- for column in ["total_clicks", "qualified_first_deposits"] %}
                sum({{ column }}) over (
                    partition by source_id, partner_id, event_date
                ) as {{ column }}_of_the_day {{ "," if not loop.last }}
            {%- endfor %}
        from sums

    ),

    partner_performance_daily as (

        select
            -- ids
            source_id,
            partner_id,

            -- strings
            currency,

            -- numerics
            {% for column in counted %} {{ column }}, {%- endfor %}
            {%- for column in booked %} {{ column }}, {%- endfor %}
            net_commission,
            revenue,
            cohort_commission,
            {{ fraction("net_commission", "total_clicks_of_the_day") }} as commission_per_click,
            {{ fraction("revenue", "total_clicks_of_the_day") }} as revenue_per_click,
            {{ fraction("cohort_commission", "qualified_first_deposits_of_the_day") }}
            as effective_cpa,
            {{ fraction("cohort_commission", "revenue") }} as effective_commission_rate,

            -- dates
            event_date
        from sums_with_counts_of_the_day

    )

select *
from partner_performance_daily
