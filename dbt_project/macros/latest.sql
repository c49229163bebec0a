{#
    SQL aggregate: *column* as it stands in the row with the largest *order_by* among the rows where *carried_by* holds
    (by default: where the column is not null). The row decides, so the value may be null.
#}
{% macro latest(column, order_by, carried_by=none) -%}
    {{
        return(
            adapter.dispatch("latest")(column, order_by, carried_by or column ~ " is not null")
        )
    }}
{%- endmacro %}

{% macro default__latest(column, order_by, carried_by) -%}
    (array_agg({{ column }} order by {{ order_by }} desc) filter (where {{ carried_by }}))[1]
{%- endmacro %}

{% macro duckdb__latest(column, order_by, carried_by) -%}
    arg_max_null({{ column }}, {{ order_by }}) filter (where {{ carried_by }})
{%- endmacro %}
