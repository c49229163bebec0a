{# SQL: *expression* as money. Sums of decimals widen; a mart's money is always decimal(28, 8). #}
{% macro money(expression) -%} cast({{ expression }} as decimal(28, 8)) {%- endmacro %}

{#
    SQL: *amount* in the reporting currency; null without a rate, never 0 and never the amount itself. An amount already in
    it needs no rate.
#}
{% macro in_reporting_currency(amount, currency) -%}
    case when {{ currency }} = '{{ var("reporting_currency") }}' then {{ money(amount) }} end
{%- endmacro %}

{# SQL list: the types of ledger entry that change what a commission is worth. #}
{% macro commission_entry_types() -%}
    ('earned', 'restated', 'adjusted', 'approval_variance', 'transferred')
{%- endmacro %}
