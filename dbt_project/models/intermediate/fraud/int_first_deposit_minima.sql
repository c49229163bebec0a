{{
    config(
        unique_key=["source_id", "event_date"],
        touched_by="touched_partner_days",
    )
}}

{% set touched = ref("touched_partner_days") %}

with

    deposits as (

        select
            source_id,
            value_currency,
            created_date as event_date,
            case when status = 'qualified' then value_amount end as qualified_value
        from {{ ref("conversions") }} as conversions
        where
            conversion_type = 'first_deposit'
            and duplicate_of_conversion_id is null
            and value_amount is not null
            and value_currency is not null
            and created_date is not null

    ),

    minima as (

        select
            source_id,
            value_currency,
            event_date,
            {{ day_number("event_date") }} as day_number,
            min(qualified_value) as smallest_value
        from deposits
        where {{ only_touched("deposits", touched, ["source_id", "event_date"]) }}
        group by 1, 2, 3

    ),

    int_first_deposit_minima as (

        {{
            with_last_change(
                "minima",
                ["source_id", "value_currency", "event_date"],
                ["smallest_value"],
                ["day_number"],
                touched,
                ["source_id", "event_date"],
            )
        }}

    )

select *
from int_first_deposit_minima
