{{ config(tags=["gate"]) }}

with

    statement as (select * from {{ ref("commission_statement_monthly") }}),

    -- an amount that is missing is a sum that is wrong, but in the reporting currency, where it
    -- says that there was no rate
    statements_that_do_not_add_up as (

        select *
        from statement
        where
            not coalesce(
                opening_balance + earned + adjusted + transferred - paid + returned
                = closing_balance,
                false
            )
            or not coalesce(
                pending_balance + payable_balance + in_transit_balance = closing_balance, false
            )
            or opening_rc
            + earned_rc
            + adjusted_rc
            + transferred_rc
            - paid_rc
            + returned_rc
            + fx_revaluation_rc
            != closing_rc
            or pending_rc + payable_rc + in_transit_rc != closing_rc

    )

select *
from statements_that_do_not_add_up
