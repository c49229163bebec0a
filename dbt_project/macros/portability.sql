{#
    What the engines say in different words. DuckDB's and PostgreSQL's are the default; the others have their own where
    theirs differ.
#}
{# SQL: a set without repetitions of what stands before and after. #}
{% macro union_distinct() -%} {{ return(adapter.dispatch("union_distinct")()) }} {%- endmacro %}

{% macro default__union_distinct() -%}
    union
{%- endmacro %}

{% macro bigquery__union_distinct() -%}
    union distinct
{%- endmacro %}

{# SQL: whether *value* is anything else than *other*; either may be null. #}
{% macro distinct_from(value, other) -%}
    {{ return(adapter.dispatch("distinct_from")(value, other)) }}
{%- endmacro %}

{% macro default__distinct_from(value, other) -%}
    {{ value }} is distinct from {{ other }}
{%- endmacro %}

{% macro redshift__distinct_from(value, other) -%}
    (
        case
            when {{ value }} = {{ other }} or ({{ value }} is null and {{ other }} is null)
            then false
            else true
        end
    )
{%- endmacro %}

{# SQL: the names of a recursive query's columns, behind its own, where the engine asks for them. #}
{% macro recursive_columns(columns) -%}
    {{ return(adapter.dispatch("recursive_columns")(columns)) }}
{%- endmacro %}

{% macro default__recursive_columns(columns) -%} {%- endmacro %}

{% macro redshift__recursive_columns(columns) -%} ({{ columns | join(", ") }}) {%- endmacro %}

{# SQL: the type of a binary fraction of 64 bits. #}
{% macro type_double() -%} {{ return(adapter.dispatch("type_double")()) }} {%- endmacro %}

{% macro default__type_double() -%} double precision {%- endmacro %}

{% macro bigquery__type_double() -%} float64 {%- endmacro %}
