{#
    The incremental strategy of this project: every row of a touched key goes, and what all events of that key say by now
    comes in its place. Keys that no longer have a row (their partner turned out to be a test) leave with it, which
    `delete+insert` would not do.

    A model names its table of touched keys in `touched_by`, and reads only those keys through `only_touched`.
#}
{% macro get_incremental_touched_keys_sql(arg_dict) %}
    {% set touched = ref(config.require("touched_by")) %}
    {% set keys = config.require("unique_key") %}
    {% set columns = get_quoted_csv(arg_dict["dest_columns"] | map(attribute="name")) %}

    delete from {{ arg_dict["target_relation"] }}
    where ({{ keys | join(", ") }}) in (select {{ keys | join(", ") }} from {{ touched }});

    insert into {{ arg_dict["target_relation"] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict["temp_relation"] }}
{% endmacro %}

{# SQL: a condition that leaves only the touched keys of *touched* in an incremental run, and everything otherwise. #}
{% macro only_touched(relation_alias, touched, keys) -%}
    {%- if is_incremental() -%}
        exists (
            select 1
            from {{ touched }} as touched
            where
                {% for key in keys -%}
                    touched.{{ key }} = {{ relation_alias }}.{{ key }}{{ " and " if not loop.last }}
                {%- endfor %}
        )
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}
