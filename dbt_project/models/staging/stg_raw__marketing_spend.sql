{% set columns = {
    "spend_date": "cast(null as date)",
    "source_id": "cast(null as " ~ dbt.type_string() ~ ")",
    "partner_id": "cast(null as " ~ dbt.type_string() ~ ")",
    "campaign_id": "cast(null as " ~ dbt.type_string() ~ ")",
    "amount": money("null"),
    "currency": "cast(null as " ~ dbt.type_string() ~ ")",
} %}

with

    marketing_spend as (

        select * from {{ optional_input("marketing_spend", columns) }} as marketing_spend

    ),

    keyed_marketing_spend as (

        select
            *,
            coalesce(partner_id, '')
            || ':'
            || coalesce(campaign_id, '')
            || ':'
            || cast(spend_date as {{ dbt.type_string() }}) as spend_key
        from marketing_spend

    )

select *
from keyed_marketing_spend
