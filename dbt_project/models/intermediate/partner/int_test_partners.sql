{{ config(materialized="table") }}

with

    partner_events as (select * from {{ ref("stg_raw__partner_events") }}),

    newest_flags as (

        select
            source_id,
            partner_id,
            is_test,
            row_number() over (
                partition by source_id, partner_id
                order by {{ order_key("partner_events", "desc") }}
            ) as newness
        from partner_events
        where is_test is not null

    ),

    test_partners as (

        select source_id, partner_id
        from newest_flags
        where newness = 1 and is_test and not {{ var("include_test_events") }}

    )

select *
from test_partners
