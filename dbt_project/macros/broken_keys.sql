{# SQL: one row per key of *relation* that is null in part, or on more than one row. #}
{% macro broken_keys(relation, columns) %}
    select
        {%- for column in columns %}
            coalesce(cast({{ column }} as {{ dbt.type_string() }}), 'null')
            {{ "|| ' | ' ||" if not loop.last }}
        {%- endfor %} as broken_key,
        count(*) as row_count
    from {{ relation }}
    group by {{ columns | join(", ") }}
    having count(*) > 1 {%- for column in columns %} or {{ column }} is null {%- endfor %}
{% endmacro %}
