{% set columns = {"period_month": "date", "closed_at": "timestamp"} %}

with

    accounting_periods as (

        select * from {{ optional_input("accounting_periods", columns) }} as accounting_periods

    ),

    closed_periods as (select * from accounting_periods where closed_at is not null)

select *
from closed_periods
