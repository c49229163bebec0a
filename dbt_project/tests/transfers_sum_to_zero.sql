{{ config(severity="warn") }}

with

    transfers as (

        select source_id, currency, sum(amount) as amount, count(*) as entries
        from {{ ref("commission_ledger") }}
        where entry_type = 'transferred'
        group by 1, 2

    ),

    transfers_with_one_side as (select * from transfers where amount != 0)

select *
from transfers_with_one_side
