{# CTEs: the partner events of touched subjects. #}
{% macro partners_to_judge() %}
    subjects_of_partner_events as (

        select
            {%- for column in columns_to_judge("partner_events") %}
                events.{{ column }},
            {%- endfor %}
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
            row_number() over (
                {{ of_subject() }} order by {{ order_key("events") }}
            ) as event_number,
            count(*) over ({{ of_subject() }}) as event_count,
            lag(event_type) over (
                {{ of_subject() }} order by {{ order_key("events") }}
            ) as previous_event_type
        from subjects_of_partner_events as events
        where
            {{
                only_touched(
                    "events",
                    ref("touched_exception_subjects"),
                    ["source_id", "exception_subject_id"],
                )
            }}

    )
{% endmacro %}

{# A step that the partner's state does not allow. #}
{% macro exception__illegal_partner_transition() %}
    select
        {{
            exception_columns(
                "illegal_partner_transition",
                "events",
                detail="replace(events.event_type, 'partner.', '') || ' after ' || replace(events.previous_event_type, 'partner.', '')",
                is_open="events.event_number = events.event_count",
            )
        }}
    from partner_events as events
    where
        events.previous_event_type is not null
        and not case
            events.previous_event_type
            when 'partner.registered'
            then
                events.event_type in ('partner.approved', 'partner.suspended', 'partner.terminated')
            when 'partner.approved'
            then events.event_type in ('partner.suspended', 'partner.terminated')
            when 'partner.suspended'
            then events.event_type in ('partner.approved', 'partner.terminated')
            else events.event_type = 'partner.registered'
        end
{% endmacro %}

{# A partner whose first event never came. #}
{% macro exception__registration_missing() %}
    select
        {{
            exception_columns(
                "registration_missing",
                "events",
                detail="'first known by ' || events.event_type",
            )
        }}
    from partner_events as events
    where events.event_number = 1 and events.event_type != 'partner.registered'
{% endmacro %}

{# A partner of whom no event of its own is known. #}
{% macro exception__inferred_partner() %}
    select
        {{
            exception_columns(
                "inferred_partner",
                "partners",
                detail="case when partners.event_id is null then 'only known as a parent' end",
                key="partners.entity_id",
            )
        }}
    from partners
    where partners.is_inferred
{% endmacro %}

{# The line of parents leads back to itself: the partner at its top has one above. #}
{% macro exception__parents_in_a_circle() %}
    select
        {{
            exception_columns(
                "parents_in_a_circle",
                "partners",
                detail="'parent ' || partners.parent_partner_id",
                key="partners.entity_id",
            )
        }}
    from partners
    inner join
        partners as roots
        on partners.source_id = roots.source_id
        and partners.root_partner_id = roots.entity_id
    inner join
        partners as parents_of_roots
        on roots.source_id = parents_of_roots.source_id
        and roots.parent_partner_id = parents_of_roots.entity_id
{% endmacro %}

{# Raised once for the partner, and not for each event that mentions it. #}
{% macro exception__unknown_partner_type() %}
    select
        {{
            exception_columns(
                "unknown_partner_type",
                "partners",
                detail="'partner.type: ' || partners.partner_type",
                key="partners.entity_id",
            )
        }}
    from partners
    where partners.partner_type not in ({{ known_values("partner.type") }})
{% endmacro %}
