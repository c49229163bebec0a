{# SQL: the day, in the reporting timezone, of a UTC timestamp. #}
{% macro reporting_date(timestamp) -%}
    cast(
        ({{ timestamp }} at time zone 'UTC') at time zone '{{ var("reporting_timezone") }}' as date
    )
{%- endmacro %}

{# SQL: the first day of the month of a date. #}
{% macro month_of(date) -%} cast(date_trunc('month', {{ date }}) as date) {%- endmacro %}

{# SQL: whole seconds from one UTC timestamp to another, rounded down; null where either is. #}
{% macro seconds_between(earlier, later) -%}
    {{ return(adapter.dispatch("seconds_between")(earlier, later)) }}
{%- endmacro %}

{% macro default__seconds_between(earlier, later) -%}
    cast(floor(extract(epoch from ({{ later }} - {{ earlier }}))) as bigint)
{%- endmacro %}

{# Integers: DuckDB's epoch of an interval is a double. #}
{% macro duckdb__seconds_between(earlier, later) -%}
    cast(floor((epoch_us({{ later }}) - epoch_us({{ earlier }})) / 1000000.0) as bigint)
{%- endmacro %}
