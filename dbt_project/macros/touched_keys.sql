{#
    The incremental strategy of this project: every row of a touched key goes, and what all events of that key say by now
    comes in its place. Keys that no longer have a row (their partner turned out to be a test) leave with it, which
    `delete+insert` would not do.

    A model names its table of touched keys in `touched_by`, and reads only those keys through `only_touched`.
#}
{% macro get_incremental_touched_keys_sql(arg_dict) %}
    {{
        replace_keys(
            arg_dict["target_relation"],
            ref(config.require("touched_by")),
            config.require("unique_key"),
            arg_dict["dest_columns"] | map(attribute="name") | list,
            arg_dict["temp_relation"],
        )
    }}
{% endmacro %}

{# SQL: what removes the rows of *target* whose *keys* are in *touched*, and adds *new_rows*, in one transaction. #}
{% macro replace_keys(target, touched, keys, columns, new_rows) -%}
    {{ return(adapter.dispatch("replace_keys")(target, touched, keys, columns, new_rows)) }}
{%- endmacro %}

{# The transaction is the materialization's own. #}
{% macro default__replace_keys(target, touched, keys, columns, new_rows) -%}
    {%- set columns = get_quoted_csv(columns) -%}
    delete from {{ target }}
    where ({{ keys | join(", ") }}) in (select {{ keys | join(", ") }} from {{ touched }})
    ;
    insert into {{ target }} ({{ columns }})
    select {{ columns }}
    from {{ new_rows }}
    ;
{%- endmacro %}

{# Every statement of dbt's is a transaction of its own there. #}
{% macro snowflake__replace_keys(target, touched, keys, columns, new_rows) -%}
    begin
    ;
    {{ default__replace_keys(target, touched, keys, columns, new_rows) }}
    commit
    ;
{%- endmacro %}

{# Of several columns at once BigQuery takes no `in`. #}
{% macro bigquery__replace_keys(target, touched, keys, columns, new_rows) -%}
    {%- set columns = get_quoted_csv(columns) -%}
    begin transaction
    ;
    delete from {{ target }} as held
    where
        exists (
            select 1
            from {{ touched }} as touched
            where
                {% for key in keys -%}
                    touched.{{ key }} = held.{{ key }}{{ " and " if not loop.last }}
                {%- endfor %}
        )
    ;
    insert into {{ target }} ({{ columns }})
    select {{ columns }}
    from {{ new_rows }}
    ;
    commit transaction
    ;
{%- endmacro %}

{#
    dbt-bigquery asks these two macros of its own whether it knows a strategy, and for its SQL, and has no other way to
    add one. Ours stand before them: `touched_keys`, and `delete+insert`, which it does not have.
#}
{% macro dbt_bigquery_validate_get_incremental_strategy(config) -%}
    {{ return(config.get("incremental_strategy")) }}
{%- endmacro %}

{% macro bq_generate_incremental_build_sql(
    strategy,
    tmp_relation,
    target_relation,
    sql,
    unique_key,
    partition_by,
    partitions,
    dest_columns,
    tmp_relation_exists,
    copy_partitions,
    incremental_predicates
) -%}
    {%- set touched = (
        ref(config.require("touched_by"))
        if strategy == "touched_keys"
        else tmp_relation
    ) -%}
    {{
        return(
            replace_keys(
                target_relation,
                touched,
                unique_key,
                dest_columns | map(attribute="name") | list,
                tmp_relation,
            )
        )
    }}
{%- endmacro %}
