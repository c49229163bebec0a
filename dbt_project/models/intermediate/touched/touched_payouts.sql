with

    payout_events as (select * from {{ ref("stg_raw__payout_events") }}),

    test_partners as (select * from {{ ref("touched_test_partners") }}),

    touched_payouts as (

        select distinct payout_events.source_id, payout_events.payout_id
        from payout_events
        left join
            test_partners
            on payout_events.source_id = test_partners.source_id
            and payout_events.partner_id = test_partners.partner_id
        where {{ loaded_since_last_build("payout_events") }} or test_partners.partner_id is not null

    )

select *
from touched_payouts
