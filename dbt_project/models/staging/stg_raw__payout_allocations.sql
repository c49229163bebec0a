{% set columns = {
    "source_id": dbt.type_string(),
    "event_id": dbt.type_string(),
    "position": "bigint",
    "commission_id": dbt.type_string(),
    "adjustment_id": dbt.type_string(),
    "amount": "decimal(28, 8)",
    "currency": dbt.type_string(),
} %}

with

    payout_allocations as (

        select * from {{ optional_input("payout_allocations", columns) }} as payout_allocations

    )

select *
from payout_allocations
