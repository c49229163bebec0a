{#
    Keeps the newest of what it knew and what came since, instead of reading every click of a partner again: the larger
    order key wins whichever arrived first, and the earlier time it was first seen, so the rows do not depend on the order
    of loads.
#}
{{
    config(
        unique_key=["source_id", "partner_id"],
        incremental_strategy="delete+insert",
    )
}}

{% set columns = [
    "source_id",
    "partner_id",
    "occurred_at",
    "lifecycle_rank",
    "event_id",
    "program_id",
    "partner_name",
    "partner_external_id",
    "partner_type",
    "partner_status",
    "partner_group_id",
    "partner_manager_id",
    "partner_parent_id",
    "partner_country",
] %}

with

    new_snapshots as (

        {% for table in [
            "click_events",
            "conversion_events",
            "commission_events",
            "payout_events",
        ] %}
            select {{ columns | join(", ") }}, occurred_at as first_seen_at
            from {{ ref("stg_raw__" ~ table) }} as events
            {% if is_incremental() %}
                where {{ loaded_since_last_build("events") }}
                {% endif %} {{ "union all" if not loop.last }}
        {% endfor %}

    ),

    snapshots as (

        select *
        from new_snapshots
        {% if is_incremental() %}
            union all
            select {{ columns | join(", ") }}, first_seen_at
            from {{ this }} as known
            where
                exists (
                    select 1
                    from new_snapshots
                    where
                        new_snapshots.source_id = known.source_id
                        and new_snapshots.partner_id = known.partner_id
                )
        {% endif %}

    ),

    snapshots_by_newness as (

        select
            *,
            row_number() over (
                partition by source_id, partner_id order by {{ order_key("snapshots", "desc") }}
            ) as newness,
            min(first_seen_at) over (partition by source_id, partner_id) as earliest_seen_at
        from snapshots

    ),

    partner_snapshots as (

        select {{ columns | join(", ") }}, earliest_seen_at as first_seen_at
        from snapshots_by_newness
        where newness = 1

    )

select *
from partner_snapshots
