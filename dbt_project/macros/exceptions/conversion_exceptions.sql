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
