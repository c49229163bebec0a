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
