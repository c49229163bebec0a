{# A value that no enumeration lists, stored as sent: one exception for each entity, field and value. #}
{% macro exception__unknown_enum_value() %}
    select
        {{
            exception_columns(
                "unknown_enum_value",
                "events",
                detail="events.field || ': ' || events.enum_value",
                key="events.event_id || ':' || events.field",
            )
        }}
    from unknown_values as events
    where events.value_number = 1
{% endmacro %}

{# More than five minutes after it was received, which no clock that runs slow explains. #}
{% macro exception__event_from_the_future() %}
    select {{ exception_columns("event_from_the_future", "events") }}
    from events_of_all_kinds as events
    where events.is_from_the_future
{% endmacro %}

{# Without an id, a retry whose body differs in one byte is another event. #}
{% macro exception__missing_event_id() %}
    select {{ exception_columns("missing_event_id", "events", is_open="false") }}
    from events_of_all_kinds as events
    where events.has_synthetic_id
{% endmacro %}

{# An event that counts after one with a higher version of the same entity. #}
{% macro exception__version_disorder() %}
    select
        {{
            exception_columns(
                "version_disorder",
                "events",
                detail="'version ' || cast(events.entity_version as "
                ~ dbt.type_string()
                ~ ") || ' after ' || cast(events.highest_earlier_version as "
                ~ dbt.type_string()
                ~ ")",
                is_open="events.newest_version < events.highest_version",
            )
        }}
    from versioned_events as events
    where events.entity_version < events.highest_earlier_version
{% endmacro %}

{# Versions that nobody has seen between two that were: their events were lost. #}
{% macro exception__version_gap() %}
    select
        {{
            exception_columns(
                "version_gap",
                "events",
                detail="'no version between ' || cast(events.previous_version as "
                ~ dbt.type_string()
                ~ ") || ' and ' || cast(events.entity_version as "
                ~ dbt.type_string()
                ~ ")",
                amount="null",
                currency="null",
            )
        }}
    from
        (
            select
                versioned_events.*,
                lag(entity_version) over (
                    partition by source_id, exception_subject_id order by entity_version
                ) as previous_version
            from versioned_events
            where version_number = 1
        ) as events
    where events.entity_version > events.previous_version + 1
{% endmacro %}

{# Another body under an id that was taken. *At risk* is what the event in force books. #}
{% macro exception__event_id_conflict() %}
    select
        {{
            exception_columns(
                "event_id_conflict",
                "events",
                detail="'body ' || events.body_sha256",
                key="events.event_id || ':' || events.body_sha256",
            )
        }}
    from conflicting_events as events
{% endmacro %}

{# SQL: whether a click can be the cause of an exception; most are not, and need not be read any further. #}
{% macro is_doubtful_click(events) -%}
    (
        {{ events }}.has_synthetic_id
        or {{ is_from_the_future(events) }}
        or {{ events }}.validity not in ({{ known_values("click.validity") }})
        or {{ events }}.geo_source not in ({{ known_values("geo.source") }})
    )
{%- endmacro %}

{# SQL: whether an event says that it happened more than five minutes after it was received. #}
{% macro is_from_the_future(events) -%}
    {{ events }}.occurred_at > {{ dbt.dateadd("minute", 5, events ~ ".received_at") }}
{%- endmacro %}
