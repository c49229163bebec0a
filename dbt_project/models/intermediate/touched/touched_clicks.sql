with

    click_events as (

        select * from {{ ref("stg_raw__click_events") }} where {{ unless_all_is_derived() }}

    ),

    touched_ids as (

        select source_id, click_id
        from click_events
        where {{ loaded_since_last_build("click_events") }} {{ union_distinct() }}
        select click_events.source_id, click_events.click_id
        from click_events
        inner join
            {{ ref("touched_test_partners") }} as test_partners
            on click_events.source_id = test_partners.source_id
            and click_events.partner_id = test_partners.partner_id

    ),

    touched_events as (

        select
            click_events.source_id,
            click_events.click_id,
            click_events.partner_id,
            click_events.load_seq,
            {{ reporting_date("click_events.occurred_at") }} as click_date
        from click_events
        inner join
            touched_ids
            on click_events.source_id = touched_ids.source_id
            and click_events.click_id = touched_ids.click_id

    ),

    -- where the click may have been counted so far, and where it may be counted now; the loads
    -- that brought its events, so that the rows of all others need not be read
    touched_clicks as (

        select distinct
            touched_events.source_id,
            touched_events.click_id,
            touched_events.partner_id,
            touched_events.load_seq,
            other_events.click_date
        from touched_events
        inner join
            touched_events as other_events
            on touched_events.source_id = other_events.source_id
            and touched_events.click_id = other_events.click_id

    )

select *
from touched_clicks
