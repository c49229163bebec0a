{#
    SQL: the rows of *mart* among which two may share *key*. In the gate of an incremental build those are the rows that it
    put in the place of others, and all that have a key of theirs; otherwise, and where a build makes the mart anew, all.
#}
{% macro rows_at_stake(mart, key) -%}
    {%- set touched = touched_of(mart) -%}
    {%- if touched is none -%} {{ ref(mart) }}
    {%- else -%}
        {%- set replaced -%}
            select * from {{ ref(mart) }} as held where {{ is_among("held", touched.relation, touched.columns) }}
        {%- endset -%}
        (
            {%- if touched.columns | reject("in", key) | list %}
                {#- rows with one key need not be touched together; and null is among nothing #}
                select *
                from {{ ref(mart) }} as held
                where {{ is_among("held", "(" ~ replaced ~ ")", key) }}
                union all
                {{ replaced }}
                and (
                    {%- for column in key %}
                        {{ column }} is null {{ "or" if not loop.last }}
                    {%- endfor %}
                )
            {%- else %}{{ replaced }}
            {%- endif %}
        )
    {%- endif -%}
{%- endmacro %}

{# SQL: whether the row of *mart*, here called *relation_alias*, is one that a gate has to look at again. #}
{% macro is_at_stake(mart, relation_alias) -%}
    {%- set touched = touched_of(mart) -%}
    {%- if touched is none -%} true
    {%- else -%} {{ is_among(relation_alias, touched.relation, touched.columns) }}
    {%- endif -%}
{%- endmacro %}

{# The relation of the keys whose rows of *mart* this build replaced, and the columns of these keys; none where it may be all. #}
{% macro touched_of(mart) %}
    {% if execute and var("touched_only") %}
        {% set models = (
            graph.nodes.values() | selectattr("resource_type", "equalto", "model") | list
        ) %}
        {% set model = models | selectattr("name", "equalto", mart) | first %}
        {% if model.config.incremental_strategy == "touched_keys" and model.config.materialized == "incremental" %}
            {% set touched = (
                models | selectattr("name", "equalto", model.config.touched_by) | first
            ) %}
            {{
                return(
                    {
                        "relation": api.Relation.create(
                            database=touched.database,
                            schema=touched.schema,
                            identifier=touched.alias,
                        ),
                        "columns": model.config.unique_key,
                    }
                )
            }}
        {% endif %}
    {% endif %}
    {{ return(none) }}
{% endmacro %}
