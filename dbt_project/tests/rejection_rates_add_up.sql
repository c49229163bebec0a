with

    rejected as (

        select source_id, partner_id, event_date, sum(rejection_rate) as rejection_rate
        from {{ ref("rejections_daily") }}
        group by 1, 2, 3

    ),

    decided as (

        select
            source_id,
            partner_id,
            event_date,
            sum(qualified) as qualified,
            sum(qualified + rejected) as decided
        from {{ ref("conversion_funnel_daily") }}
        group by 1, 2, 3

    ),

    -- binary fractions, so that the last digits may differ
    days_that_do_not_add_up as (

        select
            coalesce(decided.source_id, rejected.source_id) as source_id,
            coalesce(decided.partner_id, rejected.partner_id) as partner_id,
            coalesce(decided.event_date, rejected.event_date) as event_date,
            rejected.rejection_rate,
            {{ fraction("decided.qualified", "decided.decided") }} as approval_rate
        from decided
        full outer join
            rejected
            on decided.source_id = rejected.source_id
            and decided.partner_id = rejected.partner_id
            and decided.event_date = rejected.event_date
        where
            abs(
                coalesce(rejected.rejection_rate, 0)
                + coalesce({{ fraction("decided.qualified", "decided.decided") }}, 1)
                - 1
            )
            > 0.000000001

    )

select *
from days_that_do_not_add_up
