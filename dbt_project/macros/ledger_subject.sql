{#
    SQL: what a ledger entry is derived from as a whole: a commission, a payout, or one adjustment of the account. Ids of
    different kinds of entity may be the same text, so the kind stands before the id.
#}
{% macro ledger_subject(kind, entity_id) -%} '{{ kind }}:' || {{ entity_id }} {%- endmacro %}

{# SQL: the same of an event about a commission, or about the account where it names none. #}
{% macro ledger_subject_of(commission_events) -%}
    case
        when {{ commission_events }}.commission_id is null
        then {{ ledger_subject("account", commission_events ~ ".event_id") }}
        else {{ ledger_subject("commission", commission_events ~ ".commission_id") }}
    end
{%- endmacro %}
