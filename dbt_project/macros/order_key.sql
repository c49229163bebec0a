{# The order in which events of one entity count, whatever order they arrived in. #}
{% macro order_key(relation_alias) -%}
    {{ relation_alias }}.occurred_at, {{ relation_alias }}.lifecycle_rank, {{ relation_alias }}.event_id
{%- endmacro %}
