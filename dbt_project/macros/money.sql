{# SQL: *expression* as money. Sums of decimals widen; a mart's money is always decimal(28, 8). #}
{% macro money(expression) -%} {{ return(adapter.dispatch("money")(expression)) }} {%- endmacro %}

{% macro default__money(expression) -%} cast({{ expression }} as decimal(28, 8)) {%- endmacro %}

{# BigQuery's numeric has 38 digits, 9 of them decimals, whatever was summed. #}
{% macro bigquery__money(expression) -%} cast({{ expression }} as numeric) {%- endmacro %}

{# SQL: *expression* as an exchange rate. #}
{% macro rate(expression) -%} {{ return(adapter.dispatch("rate")(expression)) }} {%- endmacro %}

{% macro default__rate(expression) -%} cast({{ expression }} as decimal(38, 18)) {%- endmacro %}

{% macro bigquery__rate(expression) -%} cast({{ expression }} as bignumeric) {%- endmacro %}

{# SQL list: the types of ledger entry that change what a commission is worth. #}
{% macro commission_entry_types() -%}
    ('earned', 'restated', 'adjusted', 'approval_variance', 'transferred')
{%- endmacro %}
