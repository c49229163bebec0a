with

    live_events as (

        select events.*
        from {{ ref("stg_raw__commission_events") }} as events
        left join
            {{ ref("int_test_partners") }} as test_partners
            on events.source_id = test_partners.source_id
            and events.partner_id = test_partners.partner_id
        where test_partners.partner_id is null

    ),

    calculations as (

        select
            *,
            row_number() over (
                partition by source_id, commission_id order by {{ order_key("events") }}
            ) as calculation_number
        from {{ ref("stg_raw__commission_events") }} as events
        where event_type = 'commission.calculated'

    ),

    -- every adjustment as sent, and of each commission the first calculation, whoever it is of
    told as (

        select
            source_id,
            partner_id,
            delta_currency as currency,
            'adjusted' as kind,
            amount_delta as in_raw,
            0 as in_ledger
        from live_events
        where event_type = 'commission.adjusted'
        union all
        select
            calculations.source_id,
            calculations.partner_id,
            calculations.currency,
            'earned' as kind,
            calculations.amount as in_raw,
            0 as in_ledger
        from calculations
        left join
            {{ ref("int_test_partners") }} as test_partners
            on calculations.source_id = test_partners.source_id
            and calculations.partner_id = test_partners.partner_id
        where calculations.calculation_number = 1 and test_partners.partner_id is null

    ),

    booked as (

        select
            source_id,
            partner_id,
            currency,
            case when entry_type = 'earned' then 'earned' else 'adjusted' end as kind,
            0 as in_raw,
            amount as in_ledger
        from {{ ref("commission_ledger") }}
        where entry_type in ('earned', 'adjusted', 'transferred')

    ),

    differences as (

        select source_id, partner_id, currency, kind
        from
            (
                select *
                from told
                union all
                select *
                from booked
            ) as both_sides
        group by 1, 2, 3, 4
        having sum(in_raw) != sum(in_ledger)

    )

select *
from differences
