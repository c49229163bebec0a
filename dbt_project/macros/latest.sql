{#
    SQL aggregate: *column* as it stands in the row with the largest *order_by* among the rows where *carried_by* holds
    (by default: where the column is not null). The row decides, so the value may be null. *order_by* is a whole number
    that no two rows of a group share; *kind* is as in `column_kind`, and only needed where the column is an expression.
#}
{% macro latest(column, order_by, carried_by=none, kind=none) -%}
    {{
        return(
            adapter.dispatch("latest")(
                column, order_by, carried_by or column ~ " is not null", kind
            )
        )
    }}
{%- endmacro %}

{% macro default__latest(column, order_by, carried_by, kind) -%}
    (array_agg({{ column }} order by {{ order_by }} desc) filter (where {{ carried_by }}))[1]
{%- endmacro %}

{% macro duckdb__latest(column, order_by, carried_by, kind) -%}
    arg_max_null({{ column }}, {{ order_by }}) filter (where {{ carried_by }})
{%- endmacro %}

{# Rows where the second argument is null do not count. #}
{% macro snowflake__latest(column, order_by, carried_by, kind) -%}
    max_by({{ column }}, case when {{ carried_by }} then {{ order_by }} end)
{%- endmacro %}

{# Nulls come last in descending order; what any_value or max_by do with a null value is not promised. #}
{% macro bigquery__latest(column, order_by, carried_by, kind) -%}
    array_agg(
        case when {{ carried_by }} then {{ column }} end
        order by case when {{ carried_by }} then {{ order_by }} end desc
        limit 1
    )[safe_offset(0)]
{%- endmacro %}

{#
    Redshift has no such aggregate: the value goes as text behind its place, which has 19 digits, and `=`; without `=` it
    is null.
#}
{% macro redshift__latest(column, order_by, carried_by, kind) -%}
    {%- set kind = kind or column_kind(column) -%}
    {%- if kind == "boolean" -%}
        {%- set text = (
            "case when "
            ~ column
            ~ " then 'true' when not "
            ~ column
            ~ " then 'false' end"
        ) -%}
    {%- else -%} {%- set text = "cast(" ~ column ~ " as varchar(65000))" -%}
    {%- endif -%}
    {%- set packed -%}
        max(
            case
                when {{ carried_by }}
                then lpad(cast({{ order_by }} as varchar(19)), 19, '0') || coalesce('=' || {{ text }}, '')
            end
        )
    {%- endset -%}
    cast(
        case
            when substring({{ packed }}, 20, 1) = '=' then substring({{ packed }}, 21)
        end as {{ kind_type(kind) }}
    )
{%- endmacro %}

{# What a column of `raw` holds, by its name. #}
{% macro column_kind(column) -%}
    {%- if column in ("rate_value", "quantity", "fx_rate") -%} {{ return("decimal") }}
    {%- elif column == "amount" or column.endswith("_amount") -%} {{ return("money") }}
    {%- elif column in ("entity_version", "sub_affiliate_level", "attempt", "tier_rank") -%}
        {{ return("integer") }}
    {%- elif column.startswith("is_") or column == "customer_is_new" -%} {{ return("boolean") }}
    {%- elif column.endswith("_at") -%} {{ return("timestamp") }}
    {%- elif column in (
        "period_start",
        "period_end",
        "hold_until",
        "scheduled_for",
        "value_date",
    ) -%}
        {{ return("date") }}
    {%- endif -%}
    {{ return("text") }}
{%- endmacro %}

{% macro kind_type(kind) -%}
    {{
        return(
            {
                "decimal": "decimal(38, 18)",
                "money": "decimal(28, 8)",
                "integer": "bigint",
                "boolean": "boolean",
                "timestamp": "timestamp",
                "date": "date",
                "text": "varchar(65000)",
            }[kind]
        )
    }}
{%- endmacro %}
