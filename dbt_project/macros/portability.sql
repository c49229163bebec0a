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

{# SQL: whether *value*, which may be null, is anything else than *constant*, which is not. #}
{% macro distinct_from(value, constant) -%}
    {{ return(adapter.dispatch("distinct_from")(value, constant)) }}
{%- endmacro %}

{% macro default__distinct_from(value, constant) -%}
    {{ value }} is distinct from {{ constant }}
{%- endmacro %}

{% macro redshift__distinct_from(value, constant) -%}
    ({{ value }} is null or {{ value }} != {{ constant }})
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
