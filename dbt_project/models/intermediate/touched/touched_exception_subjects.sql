with

    click_events as (select * from {{ ref("stg_raw__click_events") }}),

    commission_events as (select * from {{ ref("stg_raw__commission_events") }}),

    partner_events as (select * from {{ ref("stg_raw__partner_events") }}),

    event_conflicts as (select * from {{ ref("stg_raw__event_conflicts") }}),

    -- an event never changes, so one that gives no reason for an exception never had one
    clicks as (

        select source_id, 'event:' || event_id as exception_subject_id
        from click_events
        where
            {{ loaded_since_last_build("click_events") }}
            and {{ is_doubtful_click("click_events") }}

    ),

    events_of_no_commission as (

        select source_id, 'event:' || event_id as exception_subject_id
        from commission_events
        where commission_id is null and {{ loaded_since_last_build("commission_events") }}

    ),

    partners as (

        select distinct source_id, 'partner:' || partner_id as exception_subject_id
        from partner_events
        where {{ loaded_since_last_build("partner_events") }}

    ),

    conflicts as (

        select distinct source_id, 'conflict:' || event_id as exception_subject_id
        from event_conflicts
        where {{ loaded_since_last_build("event_conflicts") }}

    ),

    touched_exception_subjects as (

        select source_id, 'conversion:' || conversion_id as exception_subject_id
        from {{ ref("touched_conversions") }}
        union all
        select source_id, {{ ledger_subject("commission", "commission_id") }}
        from {{ ref("touched_commissions") }}
        union all
        select source_id, {{ ledger_subject("payout", "payout_id") }}
        from {{ ref("touched_payouts") }}
        union all
        select *
        from clicks
        union all
        select *
        from events_of_no_commission
        union all
        select *
        from partners
        union all
        select *
        from conflicts

    )

select *
from touched_exception_subjects
