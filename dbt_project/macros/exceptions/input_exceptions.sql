{# Genuine, and not understood: one exception for each body. What it would book is not known. #}
{% macro exception__quarantined_event() %}
    select
        {{
            exception_columns(
                "quarantined_event",
                "events",
                detail="events.reason",
                is_open="events.is_waiting",
                key="events.body_sha256",
            )
        }}
    from quarantined_events as events
{% endmacro %}

{# Amounts of one currency on one day that have no value in the reporting currency. #}
{% macro exception__missing_fx_rate() %}
    select
        {{
            exception_columns(
                "missing_fx_rate",
                "amounts",
                detail="'no rate of ' || cast(amounts.rate_date as " ~ dbt.type_string() ~ ")",
                key="amounts.entity_id",
            )
        }}
    from amounts_without_a_rate as amounts
{% endmacro %}

{# Spend of a campaign without a partner, or on a partner that nobody knows: it is in nobody's economics. #}
{% macro exception__unattributed_spend() %}
    select
        {{
            exception_columns(
                "unattributed_spend",
                "spend",
                key="spend.entity_type || ':' || spend.entity_id || ':' || spend.event_currency",
            )
        }}
    from spend_on_nobody as spend
{% endmacro %}
