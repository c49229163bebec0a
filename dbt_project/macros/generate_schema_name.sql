{#
    Schemas are named `staging`, `intermediate` and `marts` on every target, so that queries and BI tools can rely on them.
    Where readers read the warehouse itself, the marts are built beside `marts`, where no reader is: to drop or rename a table that is being read would
    wait for its reader, and let the next one wait. What has passed its tests then goes into `marts` in one transaction.
#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- set name = custom_schema_name | trim if custom_schema_name else target.schema -%}
    {{ "marts_building" if target.type != "duckdb" and name == "marts" else name }}
{%- endmacro %}
