{#
    SQL: what a ledger entry is derived from as a whole: a commission, a payout, or one adjustment of the account. Ids of
    different kinds of entity may be the same text, so the kind stands before the id.
#}
{% macro ledger_subject(kind, entity_id) -%} '{{ kind }}:' || {{ entity_id }} {%- endmacro %}
