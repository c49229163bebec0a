{{
    config(
        unique_key=["source_id", "customer_id"],
        touched_by="touched_customers",
    )
}}

{% set touched = ref("touched_customers") %}

with

    numbered_conversions as (

        select
            source_id,
            customer_id,
            partner_id,
            {{ month_of("created_date") }} as acquired_month,
            row_number() over (
                partition by source_id, customer_id
                order by created_at, {{ by_code_point("conversion_id") }}
            ) as conversion_number
        from {{ ref("conversions") }} as conversions
        where
            customer_id is not null
            and duplicate_of_conversion_id is null
            and {{ only_touched("conversions", touched, ["source_id", "customer_id"]) }}

    ),

    customers as (

        select source_id, customer_id, partner_id, acquired_month
        from numbered_conversions
        where conversion_number = 1

    )

select *
from customers
