{{
    config(
        unique_key=["source_id", "partner_id", "month"],
        touched_by="touched_click_months",
    )
}}

{% set touched = ref("touched_click_months") %}

with

    click_events as (

        select *, {{ month_of(reporting_date("occurred_at")) }} as month
        from {{ ref("stg_raw__click_events") }}

    ),

    clicks_by_month as (

        select
            source_id,
            partner_id,
            month,
            count(*) as gross_clicks,
            sum(case when validity in ('valid', 'duplicate') then 1 else 0 end) as total_clicks,
            sum(case when validity = 'valid' and is_unique then 1 else 0 end) as unique_clicks
        from click_events
        where {{ only_touched("click_events", touched, ["source_id", "partner_id", "month"]) }}
        group by 1, 2, 3

    )

select *
from clicks_by_month
