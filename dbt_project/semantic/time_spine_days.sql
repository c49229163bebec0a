{# Fixed days, since the marts know no clock; MetricFlow counts from here what happens on days without rows. #}
{{ config(materialized="table", schema="semantic") }}

with

    days as (

        {{ dbt.date_spine("day", "cast('2015-01-01' as date)", "cast('2041-01-01' as date)") }}

    ),

    time_spine_days as (select cast(date_day as date) as date_day from days)

select *
from time_spine_days
