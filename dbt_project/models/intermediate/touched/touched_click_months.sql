with

    click_events as (

        select *, {{ month_of(reporting_date("occurred_at")) }} as month
        from {{ ref("stg_raw__click_events") }}

    ),

    touched_click_months as (

        select distinct source_id, partner_id, month
        from click_events
        where {{ loaded_since_last_build("click_events") }}

    )

select *
from touched_click_months
