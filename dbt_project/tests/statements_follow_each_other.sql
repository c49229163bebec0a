{{ config(tags=["gate"]) }}

{% set partner_months -%}
    partition by source_id, partner_id, currency
    order by month
{%- endset %}

with

    statement as (select * from {{ ref("commission_statement_monthly") }}),

    with_neighbours as (

        select
            *,
            lag(month) over ({{ partner_months }}) as previous_month,
            lag(closing_balance) over ({{ partner_months }}) as previous_balance,
            lag(closing_rc) over ({{ partner_months }}) as previous_rc,
            lead(month) over ({{ partner_months }}) as next_month,
            max(month) over () as last_month
        from statement

    ),

    broken_chains as (

        select *
        from with_neighbours
        where
            {{ distinct_from("opening_balance", "coalesce(previous_balance, 0)") }}
            or opening_rc != coalesce(previous_rc, 0)
            or month != cast({{ dbt.dateadd("month", 1, "previous_month") }} as date)
            or (next_month is null and month != last_month)

    )

select *
from broken_chains
