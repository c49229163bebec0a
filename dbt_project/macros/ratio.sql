{#
    SQL: *part* of *whole* as a fraction; null where the whole is 0. Good enough for rates, never for money. Nothing of it is
    0, and not the 0 below 0 that binary fractions have.
#}
{% macro ratio(part, whole) -%}
    case
        when {{ part }} = 0 and {{ whole }} != 0
        then 0
        when {{ whole }} != 0
        then cast({{ part }} as {{ type_double() }}) / cast({{ whole }} as {{ type_double() }})
    end
{%- endmacro %}
