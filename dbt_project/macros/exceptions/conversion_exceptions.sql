{# CTEs: the events of touched conversions, the conversions, and the money of their commissions. #}
{% macro conversions_to_judge() %}
    raw_conversion_events as (

        select
            {%- for column in columns_to_judge("conversion_events") %}
                events.{{ column }},
            {%- endfor %}
            'conversion:' || events.conversion_id as exception_subject_id,
            'conversion' as entity_type,
            events.conversion_id as entity_id,
            {{ money("null") }} as event_amount,
            cast(null as {{ dbt.type_string() }}) as event_currency
        from {{ ref("stg_raw__conversion_events") }} as events
        where
            {{ only_touched("events", ref("touched_conversions"), ["source_id", "conversion_id"]) }}

    ),

    conversion_events as (

        select
            events.*,
            events_in_order.event_number,
            events_in_order.stated_status,
            events_in_order.previous_status,
            count(*) over (
                partition by events.source_id, events.exception_subject_id
            ) as event_count,
            sum(case when events.event_type = 'conversion.created' then 1 else 0 end) over (
                partition by events.source_id, events.exception_subject_id
            ) as created_count
        from raw_conversion_events as events
        inner join
            {{ ref("int_conversion_events_in_order") }} as events_in_order
            on events.source_id = events_in_order.source_id
            and events.conversion_id = events_in_order.conversion_id
            and events.event_id = events_in_order.event_id

    ),

    conversions as (

        select *
        from {{ ref("conversions") }} as conversions
        where
            {{
                only_touched(
                    "conversions", ref("touched_conversions"), ["source_id", "conversion_id"]
                )
            }}

    ),

    commissions_of_conversions as (

        select *
        from {{ ref("int_commission_states") }} as commissions
        where
            commissions.conversion_id is not null
            and {{
                only_touched(
                    "commissions", ref("touched_conversions"), ["source_id", "conversion_id"]
                )
            }}

    ),

    money_of_conversions as (

        select commissions.source_id, commissions.conversion_id, ledger.currency
        from commissions_of_conversions as commissions
        inner join
            {{ ref("commission_ledger") }} as ledger
            on commissions.source_id = ledger.source_id
            and commissions.commission_id = ledger.commission_id
            and ledger.entry_type in {{ commission_entry_types() }}

    )
{% endmacro %}

{# A creation after another state changes nothing. #}
{% macro exception__illegal_conversion_transition() %}
    select
        {{
            exception_columns(
                "illegal_conversion_transition",
                "events",
                detail="'created after ' || events.previous_status",
                is_open="events.event_number = events.event_count",
            )
        }}
    from conversion_events as events
    where events.event_type = 'conversion.created' and events.stated_status is null
{% endmacro %}

{# A conversion of which the first event never came. #}
{% macro exception__created_missing() %}
    select
        {{
            exception_columns(
                "created_missing",
                "events",
                detail="'first known by ' || events.event_type",
            )
        }}
    from conversion_events as events
    where events.event_number = 1 and events.created_count = 0
{% endmacro %}

{# The same order under two conversion ids: what it was paid for the second time is at risk. #}
{% macro exception__duplicate_business_key() %}
    select
        {{
            exception_columns(
                "duplicate_business_key",
                "events",
                detail="'same as ' || conversions.duplicate_of_conversion_id",
                amount="conversions.net_commission_amount",
                currency="conversions.commission_currency",
            )
        }}
    from conversions
    inner join
        conversion_events as events
        on conversions.source_id = events.source_id
        and conversions.conversion_id = events.entity_id
        and events.event_number = 1
    where conversions.duplicate_of_conversion_id is not null
{% endmacro %}

{# Commissions of one conversion in several currencies have no sum. #}
{% macro exception__conversion_in_several_currencies() %}
    select
        {{
            exception_columns(
                "conversion_in_several_currencies",
                "events",
                detail="several.first_currency || ' to ' || several.last_currency",
            )
        }}
    from conversion_events as events
    inner join
        (
            select
                source_id,
                conversion_id,
                min({{ by_code_point("currency") }}) as first_currency,
                max({{ by_code_point("currency") }}) as last_currency
            from money_of_conversions
            group by 1, 2
            having count(distinct currency) > 1
        ) as several
        on events.source_id = several.source_id
        and events.entity_id = several.conversion_id
    where events.event_number = 1
{% endmacro %}

{# A reason that belongs to another category than the one sent with it. #}
{% macro exception__rejection_category_mismatch() %}
    select
        {{
            exception_columns(
                "rejection_category_mismatch",
                "events",
                detail="events.rejection_reason_code || ' sent as ' || events.rejection_category",
            )
        }}
    from conversion_events as events
    where
        case
            {%- for category, reasons in rejection_reasons().items() %}
                when events.rejection_reason_code in ({{ "'" ~ reasons | join("', '") ~ "'" }})
                then events.rejection_category != '{{ category }}'
            {%- endfor %}
        end
{% endmacro %}
