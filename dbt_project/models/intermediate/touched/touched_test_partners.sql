with

    partner_events as (select * from {{ ref("stg_raw__partner_events") }}),

    partners_with_new_events as (

        select distinct source_id, partner_id
        from partner_events
        where {{ loaded_since_last_build("partner_events") }}

    ),

    partners_ever_called_a_test as (

        select distinct partner_events.source_id, partner_events.partner_id
        from partner_events
        inner join
            partners_with_new_events
            on partner_events.source_id = partners_with_new_events.source_id
            and partner_events.partner_id = partners_with_new_events.partner_id
        where partner_events.is_test

    )

select *
from partners_ever_called_a_test
