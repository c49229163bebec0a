{# The timestamps of `raw` are of BigQuery's type datetime. #}
{% set moment = "datetime" if target.type == "bigquery" else "timestamp" %}
{% set columns = {
    "period_month": "cast(null as date)",
    "closed_at": "cast(null as " ~ moment ~ ")",
} %}

with

    accounting_periods as (

        select * from {{ optional_input("accounting_periods", columns) }} as accounting_periods

    ),

    closed_periods as (select * from accounting_periods where closed_at is not null)

select *
from closed_periods
