{% set columns = {
    "source_id": "cast(null as " ~ dbt.type_string() ~ ")",
    "event_id": "cast(null as " ~ dbt.type_string() ~ ")",
    "position": "cast(null as bigint)",
    "commission_id": "cast(null as " ~ dbt.type_string() ~ ")",
    "adjustment_id": "cast(null as " ~ dbt.type_string() ~ ")",
    "amount": money("null"),
    "currency": "cast(null as " ~ dbt.type_string() ~ ")",
} %}

with

    payout_allocations as (

        select * from {{ optional_input("payout_allocations", columns) }} as payout_allocations

    )

select *
from payout_allocations
