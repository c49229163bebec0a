with

    history as (select * from {{ ref("partner_history") }}),

    partners as (select * from {{ ref("partners") }}),

    spells_with_the_next as (

        select
            *,
            lead(valid_from) over (
                partition by source_id, partner_id order by valid_from
            ) as next_valid_from
        from history

    ),

    broken_spells as (

        select 'spell does not lead to the next' as broken_rule, source_id, partner_id, valid_from
        from spells_with_the_next
        where
            {{ distinct_from("valid_to", "next_valid_from") }}
            or is_current != (valid_to is null)
            or valid_to <= valid_from

    ),

    -- a partner known only as somebody's parent has no event, and so no history
    current_spells_that_differ as (

        select
            'current spell and partner differ' as broken_rule,
            coalesce(history.source_id, partners.source_id) as source_id,
            coalesce(history.partner_id, partners.partner_id) as partner_id,
            history.valid_from
        from history
        full outer join
            partners
            on history.source_id = partners.source_id
            and history.partner_id = partners.partner_id
        where
            (history.is_current or history.partner_id is null)
            and (history.partner_id is not null or not partners.is_inferred)
            and (
                {{ distinct_from("history.status", "partners.status") }}
                or {{ distinct_from("history.parent_partner_id", "partners.parent_partner_id") }}
                or {{ distinct_from("history.manager_id", "partners.manager_id") }}
                or {{ distinct_from("history.tier", "partners.tier") }}
                or {{ distinct_from("history.is_inferred", "partners.is_inferred") }}
            )

    ),

    broken_rules as (

        select *
        from broken_spells
        union all
        select *
        from current_spells_that_differ

    )

select *
from broken_rules
