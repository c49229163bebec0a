{#
    SQL: what `raw` holds of an optional input, or no row of *columns* (name to SQL type) where it was never loaded. The
    build says in `inputs` which there are.
#}
{% macro optional_input(name, columns) -%}
    {#- Named in either case: dbt reads the project once, and `inputs` may change after that. -#}
    {%- set relation = source("raw", name) -%}
    {%- if name in var("inputs") -%} (select {{ columns.keys() | join(", ") }} from {{ relation }})
    {%- else -%}
        (
            select
                {%- for column, type in columns.items() %}
                    cast(null as {{ type }}) as {{ column }}{{ "," if not loop.last }}
                {%- endfor %}
            from (select 1 as one) as nothing
            where 1 = 0
        )
    {%- endif -%}
{%- endmacro %}
