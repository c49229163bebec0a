{#
    SQL: *amount* in the reporting currency, by *rate* units of it for one of *currency*; null without a rate, never 0 and
    never the amount itself. An amount already in it needs no rate. *rate* comes from stg_raw__fx_rates.
#}
{% macro in_reporting_currency(amount, currency, rate=none) -%}
    case
        when {{ currency }} = '{{ var("reporting_currency") }}'
        then {{ money(amount) }}
        {%- if rate %} else {{ exchanged(amount, rate) }} {%- endif %}
    end
{%- endmacro %}

{# SQL: *amount* times *rate*, as money; null where either is. #}
{% macro exchanged(amount, rate) -%}
    {{ return(adapter.dispatch("exchanged")(amount, rate)) }}
{%- endmacro %}

{#
    In two parts, since the product of 28 and 38 digits has no decimal type: by the first eight places of the rate, and by
    the rest. What lies beyond the sixteenth place is rounded first, the same on every engine.
#}
{% macro default__exchanged(amount, rate) -%}
    cast(
        cast({{ amount }} as decimal(28, 8)) * cast({{ rate }} as decimal(28, 8)) + cast(
            cast(
                {{ amount }} as decimal(28, 8)
            ) * cast({{ rate }} - cast({{ rate }} as decimal(28, 8)) as decimal(18, 18)) as decimal(
                38, 16
            )
        ) as decimal(28, 8)
    )
{%- endmacro %}

{% macro bigquery__exchanged(amount, rate) -%}
    cast(round(cast({{ amount }} as bignumeric) * {{ rate }}, 8) as numeric)
{%- endmacro %}

{#
    SQL: one divided by a rate, to eighteen places, the last of them rounded. In whole numbers, because DuckDB divides
    decimals as binary fractions. A rate that has no such inverse gives null.
#}
{% macro inverse_rate(rate) -%} {{ return(adapter.dispatch("inverse_rate")(rate)) }} {%- endmacro %}

{% macro default__inverse_rate(rate) -%} nullif(round(1 / {{ rate }}, 18), 0) {%- endmacro %}

{# A quotient has six places more than what is divided, and no more than twelve unless that has more itself. #}
{% macro snowflake__inverse_rate(rate) -%}
    nullif(round(cast(1 as decimal(19, 18)) / {{ rate }}, 18), 0)
{%- endmacro %}

{# By its digits: no decimal of DuckDB's holds a rate times 10 to the power of 18. #}
{% macro duckdb__inverse_rate(rate) -%}
    {%- set units = "cast(replace(cast(" ~ rate ~ " as varchar), '.', '') as hugeint)" -%}
    nullif(
        cast(
            divide(
                cast('1000000000000000000000000000000000000' as hugeint) + divide({{ units }}, 2),
                {{ units }}
            ) as decimal(38, 0)
        )
        * cast(0.000000000000000001 as decimal(18, 18)),
        0
    )
{%- endmacro %}

{% macro postgres__inverse_rate(rate) -%}
    {%- set units = "trunc(" ~ rate ~ " * 1000000000000000000)" -%}
    nullif(
        div(1000000000000000000000000000000000000 + div({{ units }}, 2), {{ units }})
        * 0.000000000000000001,
        0
    )
{%- endmacro %}

{#
    It has no `div`, and no more than 38 digits in a quotient, so that one of fractions has ten places or fewer. What is
    left over is taken off first, so this one is whole, with four places for nothing, and no rate under 10 to the power of
    -16 has an inverse.
#}
{% macro redshift__inverse_rate(rate) -%}
    {%- set units = "cast(replace(cast(" ~ rate ~ " as varchar), '.', '') as decimal(38, 0))" -%}
    {%- set one = "cast('1000000000000000000000000000000000000' as decimal(37, 0))" -%}
    {%- set left_over = "mod(" ~ one ~ ", " ~ units ~ ")" -%}
    case
        when {{ rate }} >= cast(0.0000000000000001 as decimal(38, 18))
        then
            nullif(
                cast(
                    ({{ one }} - {{ left_over }}) / {{ units }} + case
                        when {{ left_over }} >= {{ units }} - {{ left_over }} then 1 else 0
                    end as decimal(38, 0)
                )
                * cast(0.000000000000000001 as decimal(18, 18)),
                0
            )
    end
{%- endmacro %}
