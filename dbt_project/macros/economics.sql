{#
    SQL: what customers were worth, of amounts of one currency. To reckon it otherwise, change this macro; whoever uses the
    project as a package overrides `default__net_gaming_revenue`. A part that is not known counts as none; null where none
    is known. *prefix* is the alias with its dot, *suffix* what the columns end in.
#}
{% macro net_gaming_revenue(prefix="", suffix="") -%}
    {{ return(adapter.dispatch("net_gaming_revenue")(prefix, suffix)) }}
{%- endmacro %}

{% macro default__net_gaming_revenue(prefix, suffix) -%}
    case
        when
            coalesce(
                {%- for part in revenue_parts() %}
                    {{ prefix }}{{ part }}{{ suffix }}{{ "," if not loop.last }}
                {%- endfor %}
            )
            is not null
        then
            coalesce({{ prefix }}ggr{{ suffix }}, 0)
            {%- for part in revenue_parts()[1:] %}
                - coalesce({{ prefix }}{{ part }}{{ suffix }}, 0)
            {%- endfor %}
    end
{%- endmacro %}

{# Columns of player_activity: gross gaming revenue, then what comes off it. #}
{% macro revenue_parts() -%}
    {{
        return(
            [
                "ggr",
                "bonus_cost",
                "chargebacks",
                "payment_fees",
                "gaming_tax",
                "other_deductions",
            ]
        )
    }}
{%- endmacro %}

{# SQL aggregate: the sum of *amount* where *condition* holds; null, not a smaller sum, where one of them is null. #}
{% macro whole_sum(amount, condition="true") -%}
    case
        when count(case when {{ condition }} and {{ amount }} is null then 1 end) = 0
        then {{ money("coalesce(sum(case when " ~ condition ~ " then " ~ amount ~ " end), 0)") }}
    end
{%- endmacro %}

{# SQL: whether a commission is paid for the work of a partner below. #}
{% macro is_override(commissions) -%}
    (
        coalesce({{ commissions }}.model, '') = 'override'
        or coalesce({{ commissions }}.sub_affiliate_level, 0) > 0
    )
{%- endmacro %}

{# SQL: whole months from the first day of one month to that of another. #}
{% macro months_from(earlier, later) -%}
    cast(
        (extract(year from {{ later }}) - extract(year from {{ earlier }})) * 12
        + extract(month from {{ later }})
        - extract(month from {{ earlier }}) as bigint
    )
{%- endmacro %}

{# SQL query: the first and the last month that *relation*, an optional input, says anything of, of each source. #}
{% macro months_told(relation, day) -%}
    select
        source_id,
        {{ month_of("min(" ~ day ~ ")") }} as first_month,
        {{ month_of("max(" ~ day ~ ")") }} as last_month
    from {{ relation }}
    group by 1
{%- endmacro %}
