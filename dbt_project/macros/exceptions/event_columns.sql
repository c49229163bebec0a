{# What all events have, whatever they are of. #}
{% macro frame_of_events() -%}
    {{
        return(
            [
                "source_id",
                "exception_subject_id",
                "entity_type",
                "entity_id",
                "partner_id",
                "event_id",
                "event_type",
                "occurred_at",
                "lifecycle_rank",
                "event_amount",
                "event_currency",
            ]
        )
    }}
{%- endmacro %}

{# What each kind of event is read with: by name, since nothing else of a row with a hundred columns is looked at. #}
{% macro columns_to_judge(table) -%}
    {% set of_every_event = [
        "source_id",
        "event_id",
        "event_type",
        "occurred_at",
        "lifecycle_rank",
        "has_synthetic_id",
        "partner_id",
        "received_at",
    ] %}
    {% set columns = {
        "click_events": of_every_event
        + [
            "click_id",
            "validity",
            "geo_source",
        ],
        "conversion_events": of_every_event
        + [
            "conversion_id",
            "conversion_type",
            "status",
            "entity_version",
            "geo_source",
            "qualifying_kind",
            "preview_model",
            "rejection_reason_code",
            "rejection_category",
            "rejection_decided_by",
        ],
        "commission_events": of_every_event
        + [
            "commission_id",
            "conversion_id",
            "commission_model",
            "amount",
            "currency",
            "entity_version",
            "approved_amount",
            "approved_currency",
            "adjustment_id",
            "adjustment_type",
            "amount_delta",
            "delta_currency",
            "amount_before",
            "before_currency",
            "amount_after",
            "after_currency",
            "tier_change_id",
        ],
        "payout_events": of_every_event
        + [
            "payout_id",
            "amount",
            "currency",
            "debit_amount",
            "debit_currency",
            "fx_from",
            "fx_to",
            "entity_version",
            "settled_currency",
            "failure_category",
        ],
        "partner_events": of_every_event
        + [
            "entity_version",
            "previous_status",
            "reason_code",
            "actor_type",
        ],
    } %}
    {{ return(columns[table]) }}
{%- endmacro %}

{# Columns whose values are listed by the contract: table, field, column, and where it counts. #}
{% macro enumerated_columns() -%}
    {{
        return(
            [
                ("click_events", "click.validity", "validity", "true"),
                ("click_events", "geo.source", "geo_source", "true"),
                ("conversion_events", "conversion.type", "conversion_type", "true"),
                (
                    "conversion_events",
                    "conversion.status",
                    "status",
                    "event_type = 'conversion.updated'",
                ),
                ("conversion_events", "qualifying_event.kind", "qualifying_kind", "true"),
                ("conversion_events", "commission_preview.model", "preview_model", "true"),
                ("conversion_events", "rejection.reason_code", "rejection_reason_code", "true"),
                ("conversion_events", "rejection.category", "rejection_category", "true"),
                ("conversion_events", "rejection.decided_by", "rejection_decided_by", "true"),
                ("conversion_events", "geo.source", "geo_source", "true"),
                ("commission_events", "commission.model", "commission_model", "true"),
                ("commission_events", "adjustment.type", "adjustment_type", "true"),
                ("payout_events", "failure.category", "failure_category", "true"),
                ("partner_events", "change.reason_code", "reason_code", "true"),
                ("partner_events", "change.actor.type", "actor_type", "true"),
            ]
        )
    }}
{%- endmacro %}

{# SQL: a window over all events of one subject. #}
{% macro of_subject() -%} partition by source_id, exception_subject_id {%- endmacro %}
