{# CTEs: the commission events of touched subjects, what each leaves its commission at, and what they booked. #}
{% macro commissions_to_judge() %}
    subjects_of_commission_events as (

        select
            {%- for column in columns_to_judge("commission_events") %}
                events.{{ column }},
            {%- endfor %}
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
            row_number() over (
                {{ of_subject() }} order by {{ order_key("events") }}
            ) as event_number,
            row_number() over (
                {{ of_subject() }}, event_type order by {{ order_key("events") }}
            ) as type_number,
            min(case when event_type = 'commission.calculated' then occurred_at end) over (
                {{ of_subject() }}
            ) as first_calculated_at
        from subjects_of_commission_events as events
        where
            {{
                only_touched(
                    "events",
                    ref("touched_exception_subjects"),
                    ["source_id", "exception_subject_id"],
                )
            }}

    ),

    commission_events as (

        select
            *,
            first_value(event_amount) over (
                {{ of_subject() }}, event_type order by type_number
            ) as first_amount_of_type,
            first_value(event_currency) over (
                {{ of_subject() }}, event_type order by type_number
            ) as first_currency_of_type
        from numbered_commission_events

    ),

    -- what each event leaves the commission at, as far as it says
    commission_chain as (

        select
            *,
            lag(
                case when event_type = 'commission.calculated' then amount else amount_after end
            ) over ({{ of_subject() }} order by event_number) as previous_amount_after,
            lag(
                case when event_type = 'commission.calculated' then currency else after_currency end
            ) over ({{ of_subject() }} order by event_number) as previous_after_currency
        from commission_events
        where
            event_type in ('commission.calculated', 'commission.adjusted')
            and entity_type = 'commission'

    ),

    touched_subjects as (select * from {{ ref("touched_exception_subjects") }}),

    commission_entries as (

        select entries.*
        from {{ ref("int_commission_entries") }} as entries
        {% if is_incremental() %}
            inner join
                touched_subjects
                on entries.source_id = touched_subjects.source_id
                and entries.ledger_subject_id = touched_subjects.exception_subject_id
        {% endif %}

    )
{% endmacro %}

{# An approval waits for the amount it approves. #}
{% macro exception__approval_before_calculation() %}
    select {{ exception_columns("approval_before_calculation", "events", is_open="false") }}
    from commission_events as events
    where
        events.event_type = 'commission.approved'
        and events.type_number = 1
        and events.first_calculated_at > events.occurred_at
{% endmacro %}

{# What was approved is booked as variance. #}
{% macro exception__approval_without_calculation() %}
    select {{ exception_columns("approval_without_calculation", "events") }}
    from commission_events as events
    where
        events.event_type = 'commission.approved'
        and events.type_number = 1
        and events.first_calculated_at is null
{% endmacro %}

{# The first approval counts; a further one of another amount may mean that more, or less, was meant. #}
{% macro exception__commission_approved_again() %}
    select
        {{
            exception_columns(
                "commission_approved_again",
                "events",
                is_open="not coalesce(events.event_amount = events.first_amount_of_type and events.event_currency = events.first_currency_of_type, events.event_amount is null and events.first_amount_of_type is null)",
            )
        }}
    from commission_events as events
    where events.event_type = 'commission.approved' and events.type_number > 1
{% endmacro %}

{# The approved amount differs from what was pending; the difference was booked. #}
{% macro exception__approval_variance() %}
    select
        {{
            exception_columns(
                "approval_variance",
                "events",
                amount="entries.amount",
                currency="entries.currency",
            )
        }}
    from commission_events as events
    inner join
        commission_entries as entries
        on events.source_id = entries.source_id
        and events.event_id = entries.event_id
        and entries.entry_type = 'approval_variance'
{% endmacro %}

{# Approved in a currency in which nothing was pending, while something was in another: no variance is booked. #}
{% macro exception__approval_currency_mismatch() %}
    select
        {{
            exception_columns(
                "approval_currency_mismatch",
                "events",
                detail="'pending in ' || pending.one_currency",
            )
        }}
    from commission_events as events
    inner join
        (
            select
                source_id, ledger_subject_id, max({{ by_code_point("currency") }}) as one_currency
            from commission_entries
            where bucket = 'pending' and entry_type not in ('approved', 'approval_variance')
            group by 1, 2
        ) as pending
        on events.source_id = pending.source_id
        and events.exception_subject_id = pending.ledger_subject_id
    left join
        commission_entries as comparable
        on events.source_id = comparable.source_id
        and events.exception_subject_id = comparable.ledger_subject_id
        and events.event_currency = comparable.currency
        and comparable.bucket = 'pending'
        and comparable.entry_type not in ('approved', 'approval_variance')
    where
        events.event_type = 'commission.approved'
        and events.type_number = 1
        and events.event_amount is not null
        and comparable.source_id is null
{% endmacro %}

{# Calculated again without a grown version in the same currency: nothing is booked, its whole amount is at risk. #}
{% macro exception__duplicate_commission_calculated() %}
    select {{ exception_columns("duplicate_commission_calculated", "events") }}
    from commission_events as events
    left join
        commission_entries as entries
        on events.source_id = entries.source_id
        and events.event_id = entries.event_id
        and entries.entry_type in ('earned', 'restated')
    where events.event_type = 'commission.calculated' and entries.source_id is null
{% endmacro %}

{# An adjustment of a commission that was never calculated; booked all the same. #}
{% macro exception__orphan_adjustment() %}
    select {{ exception_columns("orphan_adjustment", "events") }}
    from commission_events as events
    where
        events.event_type = 'commission.adjusted'
        and events.entity_type = 'commission'
        and events.first_calculated_at is null
{% endmacro %}

{# An adjustment that begins with another amount than the event before it ended with: one in between was lost. #}
{% macro exception__adjustment_chain_gap() %}
    select
        {{
            exception_columns(
                "adjustment_chain_gap",
                "events",
                amount="events.amount_before - events.previous_amount_after",
                currency="events.before_currency",
            )
        }}
    from commission_chain as events
    where
        events.event_type = 'commission.adjusted'
        and events.before_currency = events.previous_after_currency
        and events.amount_before != events.previous_amount_after
{% endmacro %}

{# An adjustment whose amounts before and after differ by another amount than it says. #}
{% macro exception__adjustment_does_not_add_up() %}
    select
        {{
            exception_columns(
                "adjustment_does_not_add_up",
                "events",
                amount="events.amount_after - events.amount_before - events.event_amount",
            )
        }}
    from commission_events as events
    where
        events.event_type = 'commission.adjusted'
        and events.before_currency = events.event_currency
        and events.after_currency = events.event_currency
        and events.amount_after != events.amount_before + events.event_amount
{% endmacro %}

{# The ledger holds a commission in several currencies, so that it has no net amount. #}
{% macro exception__commission_in_several_currencies() %}
    select
        {{
            exception_columns(
                "commission_in_several_currencies",
                "events",
                detail="several.first_currency || ' to ' || several.last_currency",
                amount="null",
                currency="null",
            )
        }}
    from commission_events as events
    inner join
        (
            select
                source_id,
                ledger_subject_id,
                min({{ by_code_point("currency") }}) as first_currency,
                max({{ by_code_point("currency") }}) as last_currency
            from commission_entries
            where entry_type in {{ commission_entry_types() }}
            group by 1, 2
            having count(distinct currency) > 1
        ) as several
        on events.source_id = several.source_id
        and events.exception_subject_id = several.ledger_subject_id
    where events.event_number = 1
{% endmacro %}
