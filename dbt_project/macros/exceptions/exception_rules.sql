{#
    The rules of `data_exceptions` and how severe each is: `error` where money or a status may be wrong, `warning` where
    something is missing or unknown, `info` where nothing is to be done. Each is a macro `exception__<rule>`: a query for
    its rows.
#}
{% macro exception_rules() -%}
    {{
        return(
            {
                "adjustment_chain_gap": "error",
                "adjustment_does_not_add_up": "error",
                "approval_before_calculation": "info",
                "approval_currency_mismatch": "error",
                "approval_variance": "warning",
                "approval_without_calculation": "error",
                "commission_approved_again": "warning",
                "commission_in_several_currencies": "error",
                "conversion_in_several_currencies": "warning",
                "created_missing": "warning",
                "duplicate_business_key": "warning",
                "duplicate_commission_calculated": "error",
                "event_from_the_future": "error",
                "event_id_conflict": "error",
                "illegal_conversion_transition": "warning",
                "illegal_partner_transition": "warning",
                "illegal_payout_transition": "error",
                "inferred_partner": "warning",
                "missing_event_id": "info",
                "missing_fx_rate": "error",
                "orphan_adjustment": "error",
                "parents_in_a_circle": "error",
                "payout_currency_mismatch": "error",
                "payout_without_scheduled": "warning",
                "quarantined_event": "error",
                "registration_missing": "warning",
                "rejection_category_mismatch": "warning",
                "unattributed_spend": "warning",
                "unknown_enum_value": "warning",
                "unknown_partner_type": "warning",
                "version_disorder": "warning",
                "version_gap": "warning",
            }
        )
    }}
{%- endmacro %}

{#
    SQL: the columns of an exception of *rule* that one event causes. *events* is the alias of events with their subject
    and entity; *amount* and *currency* are what is at risk, by default what the event would book; *key* is what the
    rule has one exception for, by default the event.
#}
{% macro exception_columns(
    rule, events, detail="null", amount=none, currency=none, is_open="true", key=none
) -%}
    {{ events }}.source_id,
    {{ events }}.exception_subject_id,
    '{{ rule }}:' || {{ key or events ~ ".event_id" }} as exception_id,
    '{{ rule }}' as rule,
    '{{ exception_rules()[rule] }}' as severity,
    {{ events }}.entity_type,
    {{ events }}.entity_id,
    {{ events }}.partner_id,
    {{ events }}.event_id as source_event_id,
    cast({{ detail }} as {{ dbt.type_string() }}) as detail,
    {{ money(amount or events ~ ".event_amount") }} as amount_at_risk,
    cast({{ currency or events ~ ".event_currency" }} as {{ dbt.type_string() }}) as currency,
    {{ is_open }} as is_open,
    {{ events }}.occurred_at
{%- endmacro %}
