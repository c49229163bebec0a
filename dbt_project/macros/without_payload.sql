{#
    SQL query: the events of a table of `raw`. No model reads what was received as text, so that it need not be carried
    along where an engine carries all columns that are named.
#}
{% macro without_payload(relation) -%}
    {{ return(adapter.dispatch("without_payload")(relation)) }}
{%- endmacro %}

{# All columns have to be named for this; most engines read none that nobody asks for. #}
{% macro default__without_payload(relation) -%} select * from {{ relation }} {%- endmacro %}

{# DuckDB keeps whole rows of what is read twice. #}
{% macro duckdb__without_payload(relation) -%}
    select * exclude (payload) from {{ relation }}
{%- endmacro %}
