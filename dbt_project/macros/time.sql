{# SQL: the day, in the reporting timezone, of a UTC timestamp. #}
{% macro reporting_date(timestamp) -%}
    {{ return(adapter.dispatch("reporting_date")(timestamp)) }}
{%- endmacro %}

{% macro default__reporting_date(timestamp) -%}
    {%- if var("reporting_timezone") == "UTC" -%} cast({{ timestamp }} as date)
    {%- else -%}
        cast({{ instant_of(timestamp) }} at time zone '{{ var("reporting_timezone") }}' as date)
    {%- endif -%}
{%- endmacro %}

{# SQL: the instant that a UTC timestamp means. #}
{% macro instant_of(timestamp) -%}
    {{ return(adapter.dispatch("instant_of")(timestamp)) }}
{%- endmacro %}

{% macro default__instant_of(timestamp) -%} ({{ timestamp }} at time zone 'UTC') {%- endmacro %}

{# By way of its microseconds, because DuckDB takes four times as long for `at time zone`. #}
{% macro duckdb__instant_of(timestamp) -%}
    make_timestamptz(epoch_us({{ timestamp }}))
{%- endmacro %}

{% macro snowflake__reporting_date(timestamp) -%}
    cast(convert_timezone('UTC', '{{ var("reporting_timezone") }}', {{ timestamp }}) as date)
{%- endmacro %}

{% macro redshift__reporting_date(timestamp) -%}
    cast(convert_timezone('UTC', '{{ var("reporting_timezone") }}', {{ timestamp }}) as date)
{%- endmacro %}

{# dlt writes BigQuery's type timestamp, which is an instant. #}
{% macro bigquery__reporting_date(timestamp) -%}
    date({{ timestamp }}, '{{ var("reporting_timezone") }}')
{%- endmacro %}

{# SQL: the first day of the month of a date. #}
{% macro month_of(date) -%} cast({{ dbt.date_trunc("month", date) }} as date) {%- endmacro %}

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

{# A difference in seconds would count the full seconds on the clock that lie between. #}
{% macro snowflake__seconds_between(earlier, later) -%}
    cast(floor(datediff(microsecond, {{ earlier }}, {{ later }}) / 1000000) as bigint)
{%- endmacro %}

{% macro redshift__seconds_between(earlier, later) -%}
    cast(
        floor(
            cast(datediff(microsecond, {{ earlier }}, {{ later }}) as decimal(38, 6)) / 1000000
        ) as bigint
    )
{%- endmacro %}

{% macro bigquery__seconds_between(earlier, later) -%}
    cast(floor(timestamp_diff({{ later }}, {{ earlier }}, microsecond) / 1000000) as bigint)
{%- endmacro %}

{# SQL: whole days from one date to another. #}
{% macro days_between(earlier, later) -%}
    {{ return(adapter.dispatch("days_between")(earlier, later)) }}
{%- endmacro %}

{% macro default__days_between(earlier, later) -%} ({{ later }} - {{ earlier }}) {%- endmacro %}

{% macro snowflake__days_between(earlier, later) -%}
    datediff(day, {{ earlier }}, {{ later }})
{%- endmacro %}

{% macro redshift__days_between(earlier, later) -%}
    datediff(day, {{ earlier }}, {{ later }})
{%- endmacro %}

{% macro bigquery__days_between(earlier, later) -%}
    date_diff({{ later }}, {{ earlier }}, day)
{%- endmacro %}

{# SQL: the full hour before a timestamp. #}
{% macro hour_of(timestamp) -%}
    cast({{ dbt.date_trunc("hour", timestamp) }} as timestamp)
{%- endmacro %}

{# SQL: the hour after the one that begins at *hour*. #}
{% macro hour_after(hour) -%} cast({{ dbt.dateadd("hour", 1, hour) }} as timestamp) {%- endmacro %}

{# SQL: the last day of the month that begins on *month*. #}
{% macro last_day_of(month) -%}
    cast({{ dbt.dateadd("day", -1, dbt.dateadd("month", 1, month)) }} as date)
{%- endmacro %}
