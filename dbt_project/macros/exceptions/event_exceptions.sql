{# CTE: the clicks that a rule may find something in. #}
{% macro clicks_to_judge() %}
    click_events as (

        select
            {%- for column in columns_to_judge("click_events") %} events.{{ column }}, {%- endfor %}
            'event:' || events.event_id as exception_subject_id,
            'click' as entity_type,
            events.click_id as entity_id,
            {{ money("null") }} as event_amount,
            cast(null as {{ dbt.type_string() }}) as event_currency
        from {{ ref("stg_raw__click_events") }} as events
        where
            {{ is_doubtful_click("events") }}
            {% if is_incremental() %} and {{ loaded_since_last_build("events") }} {% endif %}

    )
{% endmacro %}

{# CTEs: the events of all kinds as rules about any event look at them: with their versions, values and conflicts. #}
{% macro events_of_all_kinds() %}
    events_of_all_kinds as (

        {% for events in [
            "click_events",
            "conversion_events",
            "commission_events",
            "payout_events",
            "partner_events",
        ] -%}
            select
                {{ frame_of_events() | join(", ") }},
                has_synthetic_id,
                {{ is_from_the_future(events) }} as is_from_the_future
            from {{ events }} {{ "union all" if not loop.last }}
        {% endfor %}

    ),

    versions as (

        {% for events in [
            "conversion_events",
            "commission_events",
            "payout_events",
            "partner_events",
        ] -%}
            select {{ frame_of_events() | join(", ") }}, entity_version
            from {{ events }}
            where entity_version is not null {{ "union all" if not loop.last }}
        {% endfor %}

    ),

    versioned_events as (

        select
            *,
            max(entity_version) over (
                {{ of_subject() }}
                order by {{ order_key("versions") }}
                rows between unbounded preceding and 1 preceding
            ) as highest_earlier_version,
            max(entity_version) over ({{ of_subject() }}) as highest_version,
            first_value(entity_version) over (
                {{ of_subject() }} order by {{ order_key("versions", "desc") }}
            ) as newest_version,
            row_number() over (
                {{ of_subject() }}, entity_version order by {{ order_key("versions") }}
            ) as version_number
        from versions

    ),

    unknown_values_of_events as (

        {% for events, field, column, condition in enumerated_columns() -%}
            select
                {{ frame_of_events() | join(", ") }},
                '{{ field }}' as field,
                {{ column }} as enum_value
            from {{ events }}
            where
                {{ column }} not in (
                    {{
                        known_values(
                            "commission.model" if field == "commission_preview.model" else field
                        )
                    }}
                )
                and {{ condition }} {{ "union all" if not loop.last }}
        {% endfor %}

    ),

    unknown_values as (

        select
            *,
            row_number() over (
                {{ of_subject() }},
                field,
                enum_value
                order by {{ order_key("unknown_values_of_events") }}
            ) as value_number
        from unknown_values_of_events

    ),

    subjects_of_conflicts as (

        select *, 'conflict:' || event_id as exception_subject_id
        from {{ ref("stg_raw__event_conflicts") }}

    ),

    event_conflicts as (

        select *
        from subjects_of_conflicts as conflicts
        where
            {{
                only_touched(
                    "conflicts",
                    ref("touched_exception_subjects"),
                    ["source_id", "exception_subject_id"],
                )
            }}

    ),

    -- only where the event in force is not a test
    conflicting_events as (

        {% for table, amount, currency in [
            ("click_events", "null", "null"),
            ("conversion_events", "null", "null"),
            (
                "commission_events",
                "coalesce(events.amount_delta, events.approved_amount, events.amount)",
                "coalesce(events.delta_currency, events.approved_currency, events.currency)",
            ),
            (
                "payout_events",
                "coalesce(events.debit_amount, events.amount)",
                "coalesce(events.debit_currency, events.currency)",
            ),
            ("partner_events", "null", "null"),
        ] -%}
            select
                events.source_id,
                conflicts.exception_subject_id,
                'event' as entity_type,
                events.event_id as entity_id,
                events.partner_id,
                events.event_id,
                events.occurred_at,
                {{ money(amount) }} as event_amount,
                cast({{ currency }} as {{ dbt.type_string() }}) as event_currency,
                conflicts.body_sha256
            from event_conflicts as conflicts
            inner join
                {{ ref("stg_raw__" ~ table) }} as events
                on conflicts.source_id = events.source_id
                and conflicts.event_id = events.event_id {{ "union all" if not loop.last }}
        {% endfor %}

    )
{% endmacro %}

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
