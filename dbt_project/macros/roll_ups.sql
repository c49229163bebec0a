{# SQL: what stands in a dimension of a roll-up where none was given; a null would break its key and every join. #}
{% macro none_given() -%} '(none)' {%- endmacro %}

{# SQL: *part* of *whole*, both counts, as a fraction; null where the whole is 0. #}
{% macro fraction(part, whole) -%}
    cast({{ part }} as {{ type_double() }}) / nullif(cast({{ whole }} as {{ type_double() }}), 0)
{%- endmacro %}

{#
    SQL aggregate: the smallest of the values that at least *percent* of them do not exceed: always one of them, so that
    every engine finds the same. *rank* and *total* are row_number and count over the values.
#}
{% macro percentile(value, percent, rank, total) -%}
    max(
        case
            when
                {{ rank }} * 100 >= {{ total }} * {{ percent }}
                and ({{ rank }} - 1) * 100 < {{ total }} * {{ percent }}
            then {{ value }}
        end
    )
{%- endmacro %}

{#
    SQL query: the conversions of the touched days of partners, by the day they were created, with their value at the rate of
    that day. *touched* is the relation of those days.
#}
{% macro valued_conversions(touched) -%}
    select
        conversions.*,
        {{
            in_reporting_currency(
                "conversions.value_amount", "conversions.value_currency", "fx_rates.fx_rate"
            )
        }} as value_rc
    from
        (
            select *, created_date as event_date
            from {{ ref("conversions") }}
            where created_date is not null
        ) as conversions
    left join
        {{ ref("stg_raw__fx_rates") }} as fx_rates
        on conversions.value_currency = fx_rates.currency
        and conversions.event_date = fx_rates.valid_on
    where {{ only_touched("conversions", touched, ["source_id", "partner_id", "event_date"]) }}
{%- endmacro %}
