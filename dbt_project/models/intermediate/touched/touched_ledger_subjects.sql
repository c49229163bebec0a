with

    commission_events as (select * from {{ ref("stg_raw__commission_events") }}),

    touched_commissions as (select * from {{ ref("touched_commissions") }}),

    touched_payouts as (select * from {{ ref("touched_payouts") }}),

    test_partners as (select * from {{ ref("touched_test_partners") }}),

    account_adjustments as (

        select
            commission_events.source_id,
            {{ ledger_subject("account", "commission_events.event_id") }} as ledger_subject_id
        from commission_events
        left join
            test_partners
            on commission_events.source_id = test_partners.source_id
            and commission_events.partner_id = test_partners.partner_id
        where
            commission_events.event_type = 'commission.adjusted'
            and commission_events.commission_id is null
            and (
                {{ loaded_since_last_build("commission_events") }}
                or test_partners.partner_id is not null
            )

    ),

    touched_ledger_subjects as (

        select source_id, {{ ledger_subject("commission", "commission_id") }} as ledger_subject_id
        from touched_commissions {{ union_distinct() }}
        select source_id, {{ ledger_subject("payout", "payout_id") }} as ledger_subject_id
        from touched_payouts {{ union_distinct() }}
        select *
        from account_adjustments

    )

select *
from touched_ledger_subjects
