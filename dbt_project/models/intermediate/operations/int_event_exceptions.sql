{{
    config(
        unique_key=["source_id", "exception_subject_id"],
        touched_by="touched_exception_subjects",
    )
}}

{% set touched_conversions = ref("touched_conversions") %}
{% set touched = ref("touched_exception_subjects") %}

{% set of_subject -%} partition by source_id, exception_subject_id {%- endset %}

{# What all events have, whatever they are of. #}
{% set frame = [
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
] %}

{# What each kind of event is read with: by name, since nothing else of a row with a hundred columns is looked at. #}
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

{% set enumerations = [
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
] %}

with

    raw_conversion_events as (

        select
            {%- for column in columns["conversion_events"] %} events.{{ column }}, {%- endfor %}
            'conversion:' || events.conversion_id as exception_subject_id,
            'conversion' as entity_type,
            events.conversion_id as entity_id,
            {{ money("null") }} as event_amount,
            cast(null as {{ dbt.type_string() }}) as event_currency
        from {{ ref("stg_raw__conversion_events") }} as events
        where {{ only_touched("events", touched_conversions, ["source_id", "conversion_id"]) }}

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
        where {{ only_touched("conversions", touched_conversions, ["source_id", "conversion_id"]) }}

    ),

    commissions_of_conversions as (

        select *
        from {{ ref("int_commission_states") }} as commissions
        where
            commissions.conversion_id is not null
            and
            {{ only_touched("commissions", touched_conversions, ["source_id", "conversion_id"]) }}

    ),

    money_of_conversions as (

        select commissions.source_id, commissions.conversion_id, ledger.currency
        from commissions_of_conversions as commissions
        inner join
            {{ ref("commission_ledger") }} as ledger
            on commissions.source_id = ledger.source_id
            and commissions.commission_id = ledger.commission_id
            and ledger.entry_type in {{ commission_entry_types() }}

    ),

    subjects_of_commission_events as (

        select
            {%- for column in columns["commission_events"] %} events.{{ column }}, {%- endfor %}
            case
                when commission_id is null
                then 'event:' || event_id
                else {{ ledger_subject("commission", "commission_id") }}
            end as exception_subject_id,
            case
                when event_type = 'commission.tier_changed'
                then 'tier_change'
                when commission_id is null
                then 'adjustment'
                else 'commission'
            end as entity_type,
            case
                when event_type = 'commission.tier_changed'
                then tier_change_id
                when commission_id is null
                then adjustment_id
                else commission_id
            end as entity_id,
            case
                event_type
                when 'commission.calculated'
                then amount
                when 'commission.adjusted'
                then amount_delta
                when 'commission.approved'
                then approved_amount
            end as event_amount,
            case
                event_type
                when 'commission.calculated'
                then currency
                when 'commission.adjusted'
                then delta_currency
                when 'commission.approved'
                then approved_currency
            end as event_currency
        from {{ ref("stg_raw__commission_events") }} as events

    ),

    numbered_commission_events as (

        select
            *,
            row_number() over ({{ of_subject }} order by {{ order_key("events") }}) as event_number,
            row_number() over (
                {{ of_subject }}, event_type order by {{ order_key("events") }}
            ) as type_number,
            min(case when event_type = 'commission.calculated' then occurred_at end) over (
                {{ of_subject }}
            ) as first_calculated_at
        from subjects_of_commission_events as events
        where {{ only_touched("events", touched, ["source_id", "exception_subject_id"]) }}

    ),

    commission_events as (

        select
            *,
            first_value(event_amount) over (
                {{ of_subject }}, event_type order by type_number
            ) as first_amount_of_type,
            first_value(event_currency) over (
                {{ of_subject }}, event_type order by type_number
            ) as first_currency_of_type
        from numbered_commission_events

    ),

    -- what each event leaves the commission at, as far as it says
    commission_chain as (

        select
            *,
            lag(
                case when event_type = 'commission.calculated' then amount else amount_after end
            ) over ({{ of_subject }} order by event_number) as previous_amount_after,
            lag(
                case when event_type = 'commission.calculated' then currency else after_currency end
            ) over ({{ of_subject }} order by event_number) as previous_after_currency
        from commission_events
        where
            event_type in ('commission.calculated', 'commission.adjusted')
            and entity_type = 'commission'

    ),

    touched_subjects as (select * from {{ touched }}),

    commission_entries as (

        select entries.*
        from {{ ref("int_commission_entries") }} as entries
        {% if is_incremental() %}
            inner join
                touched_subjects
                on entries.source_id = touched_subjects.source_id
                and entries.ledger_subject_id = touched_subjects.exception_subject_id
        {% endif %}

    ),

    raw_payout_events as (

        select
            {%- for column in columns["payout_events"] %} events.{{ column }}, {%- endfor %}
            {{ ledger_subject("payout", "events.payout_id") }} as exception_subject_id,
            'payout' as entity_type,
            events.payout_id as entity_id,
            coalesce(events.debit_amount, events.amount) as event_amount,
            case
                when events.debit_amount is null then events.currency else events.debit_currency
            end as event_currency
        from {{ ref("stg_raw__payout_events") }} as events
        where {{ only_touched("events", ref("touched_payouts"), ["source_id", "payout_id"]) }}

    ),

    payout_events as (

        select
            events.*,
            events_in_order.event_number,
            events_in_order.is_no_op,
            count(*) over (
                partition by events.source_id, events.exception_subject_id
            ) as event_count,
            sum(case when events.event_type = 'payout.scheduled' then 1 else 0 end) over (
                partition by events.source_id, events.exception_subject_id
            ) as scheduled_count,
            -- a step that was passed over leaves the payout completed
            case
                when events_in_order.is_no_op
                then 'payout.completed'
                else
                    lag(events.event_type) over (
                        partition by
                            events.source_id, events.exception_subject_id, events_in_order.is_no_op
                        order by events_in_order.event_number
                    )
            end as previous_event_type
        from raw_payout_events as events
        inner join
            {{ ref("int_payout_events_in_order") }} as events_in_order
            on events.source_id = events_in_order.source_id
            and events.payout_id = events_in_order.payout_id
            and events.event_id = events_in_order.event_id

    ),

    subjects_of_partner_events as (

        select
            {%- for column in columns["partner_events"] %} events.{{ column }}, {%- endfor %}
            'partner:' || partner_id as exception_subject_id,
            'partner' as entity_type,
            partner_id as entity_id,
            {{ money("null") }} as event_amount,
            cast(null as {{ dbt.type_string() }}) as event_currency
        from {{ ref("stg_raw__partner_events") }} as events

    ),

    partner_events as (

        select
            *,
            row_number() over ({{ of_subject }} order by {{ order_key("events") }}) as event_number,
            count(*) over ({{ of_subject }}) as event_count,
            lag(event_type) over (
                {{ of_subject }} order by {{ order_key("events") }}
            ) as previous_event_type
        from subjects_of_partner_events as events
        where {{ only_touched("events", touched, ["source_id", "exception_subject_id"]) }}

    ),

    click_events as (

        select
            {%- for column in columns["click_events"] %} events.{{ column }}, {%- endfor %}
            'event:' || events.event_id as exception_subject_id,
            'click' as entity_type,
            events.click_id as entity_id,
            {{ money("null") }} as event_amount,
            cast(null as {{ dbt.type_string() }}) as event_currency
        from {{ ref("stg_raw__click_events") }} as events
        where
            {{ is_doubtful_click("events") }}
            {% if is_incremental() %} and {{ loaded_since_last_build("events") }} {% endif %}

    ),

    events_of_all_kinds as (

        {% for events in [
            "click_events",
            "conversion_events",
            "commission_events",
            "payout_events",
            "partner_events",
        ] -%}
            select
                {{ frame | join(", ") }},
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
            select {{ frame | join(", ") }}, entity_version
            from {{ events }}
            where entity_version is not null {{ "union all" if not loop.last }}
        {% endfor %}

    ),

    versioned_events as (

        select
            *,
            max(entity_version) over (
                {{ of_subject }}
                order by {{ order_key("versions") }}
                rows between unbounded preceding and 1 preceding
            ) as highest_earlier_version,
            max(entity_version) over ({{ of_subject }}) as highest_version,
            first_value(entity_version) over (
                {{ of_subject }} order by {{ order_key("versions", "desc") }}
            ) as newest_version,
            row_number() over (
                {{ of_subject }}, entity_version order by {{ order_key("versions") }}
            ) as version_number
        from versions

    ),

    unknown_values_of_events as (

        {% for events, field, column, condition in enumerations -%}
            select {{ frame | join(", ") }}, '{{ field }}' as field, {{ column }} as enum_value
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
                {{ of_subject }},
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
        where {{ only_touched("conflicts", touched, ["source_id", "exception_subject_id"]) }}

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

    ),

    event_exceptions as (

        {% for rule in [
            "illegal_conversion_transition",
            "created_missing",
            "duplicate_business_key",
            "conversion_in_several_currencies",
            "rejection_category_mismatch",
            "approval_before_calculation",
            "approval_without_calculation",
            "commission_approved_again",
            "approval_variance",
            "approval_currency_mismatch",
            "duplicate_commission_calculated",
            "orphan_adjustment",
            "adjustment_chain_gap",
            "adjustment_does_not_add_up",
            "commission_in_several_currencies",
            "illegal_payout_transition",
            "payout_without_scheduled",
            "payout_currency_mismatch",
            "illegal_partner_transition",
            "registration_missing",
            "unknown_enum_value",
            "event_from_the_future",
            "missing_event_id",
            "version_disorder",
            "version_gap",
            "event_id_conflict",
        ] -%}
            {{ context["exception__" ~ rule]() }} {{ "union all" if not loop.last }}
        {% endfor %}

    )

select *
from event_exceptions
