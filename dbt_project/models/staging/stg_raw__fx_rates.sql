{#
    A table, and with a row for every day, so that a rate is found by an equal day instead of the newest before it.
#}
{{ config(materialized="table") }}

{% set reporting_currency = "'" ~ var("reporting_currency") ~ "'" %}
{% set columns = {
    "rate_date": "cast(null as date)",
    "base_currency": "cast(null as " ~ dbt.type_string() ~ ")",
    "quote_currency": "cast(null as " ~ dbt.type_string() ~ ")",
    "rate": rate("null"),
} %}

with

    fx_rates as (select * from {{ optional_input("fx_rates", columns) }} as fx_rates),

    quotes as (

        select base_currency as currency, rate_date, {{ rate("rate") }} as fx_rate, 0 as inversions
        from fx_rates
        where
            quote_currency = {{ reporting_currency }} and base_currency != {{ reporting_currency }}
        union all
        select
            quote_currency as currency,
            rate_date,
            {{ rate(inverse_rate("rate")) }} as fx_rate,
            1 as inversions
        from fx_rates
        where
            base_currency = {{ reporting_currency }} and quote_currency != {{ reporting_currency }}

    ),

    quotes_by_preference as (

        select
            *,
            row_number() over (partition by currency, rate_date order by inversions) as preference
        from quotes
        where fx_rate is not null

    ),

    quoted_rates as (

        select *, lead(rate_date) over (partition by currency order by rate_date) as next_rate_date
        from quotes_by_preference
        where preference = 1

    ),

    ages as (

        {% for age in range(var("fx_max_age_days") + 1) %}
            select {{ age }} as age {{ "union all" if not loop.last }}
        {% endfor %}

    ),

    aged_rates as (

        select
            quoted_rates.currency,
            quoted_rates.fx_rate,
            quoted_rates.rate_date as fx_rate_date,
            quoted_rates.next_rate_date,
            cast({{ dbt.dateadd("day", "ages.age", "quoted_rates.rate_date") }} as date) as valid_on
        from quoted_rates
        cross join ages

    ),

    rates_of_each_day as (

        select currency, fx_rate, fx_rate_date, valid_on
        from aged_rates
        where next_rate_date is null or valid_on < next_rate_date

    )

select *
from rates_of_each_day
