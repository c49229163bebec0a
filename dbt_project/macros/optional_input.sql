{#
    SQL: what `raw` holds of an optional input, or no row of it where it was never loaded. The build says in `inputs` which
    there are. *columns* is name to the null of its type, which is all there is of it then.
#}
{% macro optional_input(name, columns) -%}
    {#- Named in either case: dbt reads the project once, and `inputs` may change after that. -#}
    {%- set relation = source("raw", name) -%}
    {%- if name in var("inputs") -%} (select {{ columns.keys() | join(", ") }} from {{ relation }})
    {%- else -%}
        (
            select
                {%- for column, null_of_its_type in columns.items() %}
                    {{ null_of_its_type }} as {{ column }}{{ "," if not loop.last }}
                {%- endfor %}
            from (select 1 as one) as nothing
            where 1 = 0
        )
    {%- endif -%}
{%- endmacro %}
