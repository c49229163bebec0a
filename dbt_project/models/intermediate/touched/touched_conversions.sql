with

    conversion_events as (select * from {{ ref("stg_raw__conversion_events") }}),

    commission_events as (select * from {{ ref("stg_raw__commission_events") }}),

    touched_commissions as (select * from {{ ref("touched_commissions") }}),

    test_partners as (select * from {{ ref("touched_test_partners") }}),

    conversions_with_new_events as (

        select distinct conversion_events.source_id, conversion_events.conversion_id
        from conversion_events
        left join
            test_partners
            on conversion_events.source_id = test_partners.source_id
            and conversion_events.partner_id = test_partners.partner_id
        where
            {{ loaded_since_last_build("conversion_events") }}
            or test_partners.partner_id is not null

    ),

    -- every id they ever had, not only today's: whoever shared the old one is judged anew
    external_ids_at_stake as (

        select distinct conversion_events.source_id, conversion_events.external_id
        from conversion_events
        inner join
            conversions_with_new_events
            on conversion_events.source_id = conversions_with_new_events.source_id
            and conversion_events.conversion_id = conversions_with_new_events.conversion_id
        where conversion_events.external_id is not null

    ),

    conversions_sharing_an_external_id as (

        select distinct conversion_events.source_id, conversion_events.conversion_id
        from conversion_events
        inner join
            external_ids_at_stake
            on conversion_events.source_id = external_ids_at_stake.source_id
            and conversion_events.external_id = external_ids_at_stake.external_id

    ),

    conversions_of_touched_commissions as (

        select distinct commission_events.source_id, commission_events.conversion_id
        from commission_events
        inner join
            touched_commissions
            on commission_events.source_id = touched_commissions.source_id
            and commission_events.commission_id = touched_commissions.commission_id
        where commission_events.conversion_id is not null

    ),

    touched_conversions as (

        select *
        from conversions_with_new_events {{ union_distinct() }}
        select *
        from conversions_sharing_an_external_id {{ union_distinct() }}
        select *
        from conversions_of_touched_commissions

    )

select *
from touched_conversions
