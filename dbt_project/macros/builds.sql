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
            {% if flags.FULL_REFRESH %}
                {#- what it derives anew is new to all who look for changes, and if it fails, all is still to do #}
                {% do run_query("delete from " ~ builds_relation() ~ " where 1 = 1") %}
            {% endif %}
            {% do run_query(
                "insert into "
                ~ builds_relation()
                ~ " (invocation_id, load_seq, is_complete) "
                ~ "select '"
                ~ invocation_id
                ~ "', "
                ~ (
                    "coalesce(max(load_seq), 0)"
                    if var("build_load_seq") is none
                    else "least(coalesce(max(load_seq), 0), " ~ var("build_load_seq") ~ ")"
                )
                ~ ", false from "
                ~ source("raw", "loads")
            ) %}
            {% do forget_what_was_touched() %}
        {% endif %}
    {% endif %}
{% endmacro %}

{#
    Empties the tables of touched keys that this build leaves out: what an earlier build touched is not touched by this one.
#}
{% macro forget_what_was_touched() %}
    {% for node in graph.nodes.values() if node.resource_type == "model" and node.name in var("left_out") and "touched" in node.fqn %}
        {% set relation = api.Relation.create(
            database=node.database, schema=node.schema, identifier=node.alias
        ) %}
        {% do run_query("delete from " ~ relation ~ " where 1 = 1") %}
    {% endfor %}
{% endmacro %}

{#
    A build is complete when no incremental model failed, and every one that it did not leave out was part of it; a run of
    a selection is not.
#}
{% macro complete_build(results) %}
    {% if execute and flags.WHICH in ("run", "build") and not flags.EMPTY %}
        {% set succeeded = [] %}
        {% for result in results if result.status == "success" %}
            {% do succeeded.append(result.node.unique_id) %}
        {% endfor %}
        {% set missing = [] %}
        {% for node in graph.nodes.values() if node.resource_type == "model" and node.config.materialized == "incremental" %}
            {% if node.unique_id not in succeeded and node.name not in var("left_out") %}
                {% do missing.append(node.name) %}
            {% endif %}
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
    SQL: true for rows loaded since the newest complete build. `>=` where the tables of one load commit one after another,
    because a build in between has seen the first of them only. Models that a build left out have missed nothing: what
    they read had no such row.
#}
{% macro loaded_since_last_build(relation_alias) -%}
    {{ relation_alias }}.load_seq {{ ">" if var("loads_whole") else ">=" }} (
        select coalesce(max(builds.load_seq), 0)
        from {{ builds_relation() }} as builds
        where builds.is_complete
    )
{%- endmacro %}
