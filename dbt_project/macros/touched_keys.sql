{#
    The incremental strategy of this project: every row of a touched key goes, and what all events of that key say by now
    comes in its place. Keys that no longer have a row (their partner turned out to be a test) leave with it, which
    `delete+insert` would not do.

    A model names its table of touched keys in `touched_by`, and reads only those keys through `only_touched`.
#}
{% macro get_incremental_touched_keys_sql(arg_dict) %}
    {% set target = arg_dict["target_relation"] %}
    {% set touched = ref(config.require("touched_by")) %}
    {% set keys = config.require("unique_key") %}
    {% set columns = get_quoted_csv(arg_dict["dest_columns"] | map(attribute="name")) %}

    delete from {{ target }}
    where ({{ keys | join(", ") }}) in (select {{ keys | join(", ") }} from {{ touched }})
    ;

    insert into {{ target }} ({{ columns }})
    select {{ columns }}
    from {{ arg_dict["temp_relation"] }}
    ;
{% endmacro %}
