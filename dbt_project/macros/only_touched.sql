{# SQL: a condition that leaves only the touched keys of *touched* in an incremental run, and everything otherwise. #}
{% macro only_touched(relation_alias, touched, keys) -%}
    {%- if is_incremental() -%} {{ is_among(relation_alias, touched, keys) }}
    {%- else -%} true
    {%- endif -%}
{%- endmacro %}

{#
    SQL: a condition that leaves, in an incremental run, what a join with *relation* leaves anyway. DuckDB looks at the keys
    first then; others know nothing of how many rows a CTE has, and would look through it for each row.
#}
{% macro only_joined(relation_alias, relation, keys) -%}
    {{ return(adapter.dispatch("only_joined")(relation_alias, relation, keys)) }}
{%- endmacro %}

{% macro default__only_joined(relation_alias, relation, keys) -%} true {%- endmacro %}

{% macro duckdb__only_joined(relation_alias, relation, keys) -%}
    {{ only_touched(relation_alias, relation, keys) }}
{%- endmacro %}

{# SQL: whether *relation* has a row with the same *keys*. #}
{% macro is_among(relation_alias, relation, keys) -%}
    {{ return(adapter.dispatch("is_among")(relation_alias, relation, keys)) }}
{%- endmacro %}

{# What every engine reads. #}
{% macro default__is_among(relation_alias, relation, keys) -%}
    exists (
        select 1
        from {{ relation }} as touched
        where
            {% for key in keys -%}
                touched.{{ key }} = {{ relation_alias }}.{{ key }}{{ " and " if not loop.last }}
            {%- endfor %}
    )
{%- endmacro %}

{#
    DuckDB looks at the keys of a large table first, and reads the other columns only of rows that have one, where it is
    asked in this way.
#}
{% macro duckdb__is_among(relation_alias, relation, keys) -%}
    (
        {%- for key in keys -%}
            {{ relation_alias }}.{{ key }}{{ ", " if not loop.last }}
        {%- endfor -%}
    )
    in (select {{ keys | join(", ") }} from {{ relation }})
{%- endmacro %}

{#
    SQL: false in a run that derives everything anew, where nobody asks what was touched: to list all that was ever loaded
    would be work for nothing.
#}
{% macro unless_all_is_derived() -%} {{ "false" if flags.FULL_REFRESH else "true" }} {%- endmacro %}
