{#
    SQL: the order in which events of one entity count, whatever order they arrived in. *direction* "desc" puts the newest
    first.
#}
{% macro order_key(relation_alias, direction="asc") -%}
    {{ relation_alias }}.occurred_at {{ direction }},
    {{ relation_alias }}.lifecycle_rank {{ direction }},
    {{ by_code_point(relation_alias ~ ".event_id") }} {{ direction }}
{%- endmacro %}

{# SQL: *text* in an order that no locale changes. #}
{% macro by_code_point(text) -%}
    {{ return(adapter.dispatch("by_code_point")(text)) }}
{%- endmacro %}

{% macro default__by_code_point(text) -%} {{ text }} {%- endmacro %}

{% macro postgres__by_code_point(text) -%} {{ text }} collate "C" {%- endmacro %}
