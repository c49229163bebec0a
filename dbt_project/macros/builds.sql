{#
    The record of builds, `intermediate.builds`: which load each complete build had seen. What was loaded since the newest
    complete build is what the next one has to look at again.
#}
{% macro builds_relation() -%}
    {{
        return(
            api.Relation.create(
                database=target.database, schema="intermediate", identifier="builds"
            )
        )
    }}
{%- endmacro %}

{# A run of empty models, as unit tests need it, has the table too, and records nothing. #}
{% macro begin_build() %}
    {% if execute and flags.WHICH in ("run", "build") %}
        {% do adapter.create_schema(builds_relation()) %}
        {% do run_query(
            "create table if not exists "
            ~ builds_relation()
            ~ " (invocation_id "
            ~ dbt.type_string()
            ~ ", load_seq bigint, is_complete boolean, fingerprint "
            ~ dbt.type_string()
            ~ ")"
        ) %}
        {% if not flags.EMPTY %}
            {% do run_query(
                "insert into "
                ~ builds_relation()
                ~ " (invocation_id, load_seq, is_complete) "
                ~ "select '"
                ~ invocation_id
                ~ "', coalesce(max(load_seq), 0), false from "
                ~ source("raw", "loads")
            ) %}
        {% endif %}
    {% endif %}
{% endmacro %}

{# A build is complete when every incremental model was part of it and none failed; a run of a selection is not. #}
{% macro complete_build(results) %}
    {% if execute and flags.WHICH in ("run", "build") and not flags.EMPTY %}
        {% set succeeded = [] %}
        {% for result in results if result.status == "success" %}
            {% do succeeded.append(result.node.unique_id) %}
        {% endfor %}
        {% set missing = [] %}
        {% for node in graph.nodes.values() if node.resource_type == "model" and node.config.materialized == "incremental" %}
            {% if node.unique_id not in succeeded %} {% do missing.append(node.name) %} {% endif %}
        {% endfor %}
        {% if missing | length == 0 %}
            {% do run_query(
                "delete from "
                ~ builds_relation()
                ~ " where invocation_id != '"
                ~ invocation_id
                ~ "'"
            ) %}
            {% do run_query(
                "update "
                ~ builds_relation()
                ~ " set is_complete = true where not is_complete"
            ) %}
        {% endif %}
    {% endif %}
{% endmacro %}

{#
    SQL: true for rows loaded since the newest complete build. `>=`, because the tables of one load commit one after
    another, and a build in between has seen the first of them only.
#}
{% macro loaded_since_last_build(relation_alias) -%}
    {{ relation_alias }}.load_seq >= (
        select coalesce(max(builds.load_seq), 0)
        from {{ builds_relation() }} as builds
        where builds.is_complete
    )
{%- endmacro %}
