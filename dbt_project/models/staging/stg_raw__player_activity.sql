{% set columns = {
    "source_id": "cast(null as " ~ dbt.type_string() ~ ")",
    "customer_id": "cast(null as " ~ dbt.type_string() ~ ")",
    "activity_date": "cast(null as date)",
    "currency": "cast(null as " ~ dbt.type_string() ~ ")",
    "ggr": money("null"),
    "bonus_cost": money("null"),
    "chargebacks": money("null"),
    "payment_fees": money("null"),
    "gaming_tax": money("null"),
    "other_deductions": money("null"),
    "is_active": "cast(null as boolean)",
} %}

select *
from {{ optional_input("player_activity", columns) }} as player_activity
