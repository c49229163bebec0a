with

    commission_events as (select * from {{ ref("stg_raw__commission_events") }}),

    test_partners as (select * from {{ ref("touched_test_partners") }}),

    touched_commissions as (

        select distinct commission_events.source_id, commission_events.commission_id
        from commission_events
        left join
            test_partners
            on commission_events.source_id = test_partners.source_id
            and commission_events.partner_id = test_partners.partner_id
        where
            commission_events.commission_id is not null
            and (
                {{ loaded_since_last_build("commission_events") }}
                or test_partners.partner_id is not null
            )

    )

select *
from touched_commissions
