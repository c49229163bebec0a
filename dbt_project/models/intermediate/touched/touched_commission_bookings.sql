with

    commissions as (select * from {{ ref("commissions") }} where {{ unless_all_is_derived() }}),

    -- whose conversion came to somebody else, or to another month
    commissions_of_conversions as (

        select commissions.source_id, commissions.commission_id
        from commissions
        inner join
            {{ ref("touched_conversions") }} as touched
            on commissions.source_id = touched.source_id
            and commissions.conversion_id = touched.conversion_id

    ),

    touched_commission_bookings as (

        select *
        from {{ ref("touched_ledger_subjects") }} {{ union_distinct() }}
        select source_id, {{ ledger_subject("commission", "commission_id") }} as ledger_subject_id
        from commissions_of_conversions

    )

select *
from touched_commission_bookings
