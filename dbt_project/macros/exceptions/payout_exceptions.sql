{# A step that the payout's state does not allow; it books nothing. #}
{% macro exception__illegal_payout_transition() %}
    select
        {{
            exception_columns(
                "illegal_payout_transition",
                "events",
                detail="replace(events.event_type, 'payout.', '') || ' after ' || replace(events.previous_event_type, 'payout.', '')",
                is_open="events.event_number = events.event_count",
            )
        }}
    from payout_events as events
    where
        events.is_no_op
        or events.previous_event_type = events.event_type
        or (
            events.event_type = 'payout.scheduled'
            and events.previous_event_type = 'payout.processing'
        )
{% endmacro %}

{# A payout whose first event never came. #}
{% macro exception__payout_without_scheduled() %}
    select
        {{
            exception_columns(
                "payout_without_scheduled",
                "events",
                detail="'first known by ' || events.event_type",
            )
        }}
    from payout_events as events
    where events.event_number = 1 and events.scheduled_count = 0
{% endmacro %}

{# Paid, or arrived, in another currency than was taken off the balance, without a conversion that says so. #}
{% macro exception__payout_currency_mismatch() %}
    select
        {{
            exception_columns(
                "payout_currency_mismatch",
                "events",
                detail="events.event_currency || ' paid as ' || events.currency || coalesce(', arrived as ' || events.settled_currency, '')",
            )
        }}
    from payout_events as events
    where
        events.event_number = events.event_count
        and (
            (
                events.event_currency != events.currency
                and (
                    {{ distinct_from("events.fx_from", "events.event_currency") }}
                    or {{ distinct_from("events.fx_to", "events.currency") }}
                )
            )
            or events.settled_currency != events.currency
        )
{% endmacro %}
