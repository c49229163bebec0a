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
    {%- else -%} true
    {%- endif -%}
{%- endmacro %}

{#
    SQL: false in a run that derives everything anew, where nobody asks what was touched: to list all that was ever loaded
    would be work for nothing.
#}
{% macro unless_all_is_derived() -%} {{ "false" if flags.FULL_REFRESH else "true" }} {%- endmacro %}
