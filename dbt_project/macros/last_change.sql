{#
    SQL query: *rows* with the build that last changed them as `load_seq`, so that who reads them can leave alone what is as
    it was (`loaded_since_last_build`): much that is touched comes out the same.

    A row that is gone stays with nulls for *values*, because that is a change as well; who reads them has no use for it.

    rows          relation of what the touched keys have by now
    keys          columns that tell a row of it from all others
    values        columns that may change
    constants     columns that the keys determine
    touched       relation of the touched keys
    touched_keys  their columns, some of *keys*
#}
{% macro with_last_change(rows, keys, values, constants, touched, touched_keys) -%}
    {%- if is_incremental() %}
        select
            {%- for column in keys + constants %}
                coalesce(new_rows.{{ column }}, held_rows.{{ column }}) as {{ column }},
            {%- endfor %}
            {%- for column in values %} new_rows.{{ column }}, {%- endfor %}
            case
                when
                    {% for column in values -%}
                        {{ distinct_from("new_rows." ~ column, "held_rows." ~ column) }}
                        {{ "or " if not loop.last }}
                    {%- endfor %}
                then {{ this_build() }}
                else held_rows.load_seq
            end as load_seq
        from {{ rows }} as new_rows
        full outer join
            (
                select * from {{ this }} as held where {{ is_among("held", touched, touched_keys) }}
            ) as held_rows
            on {% for column in keys -%}
                new_rows.{{ column }} = held_rows.{{ column }} {{ "and " if not loop.last }}
            {%- endfor %}
    {%- else %}
        select {{ (keys + constants + values) | join(", ") }}, {{ this_build() }} as load_seq
        from {{ rows }}
    {%- endif %}
{%- endmacro %}

{#
    SQL: the number of a build that is under way, which is larger than that of the newest load that a complete build has
    seen, and no larger than any that it has seen itself.
#}
{% macro this_build() -%}
    (
        select coalesce(max(builds.load_seq), 0) + 1
        from {{ builds_relation() }} as builds
        where builds.is_complete
    )
{%- endmacro %}
