{{ config(materialized="table") }}

with

    clicks_by_day as (select * from {{ ref("int_clicks_by_day") }}),

    clicks_by_month as (

        select
            source_id,
            partner_id,
            {{ month_of("click_date") }} as month,
            sum(gross_clicks) as gross_clicks,
            sum(total_clicks) as total_clicks,
            sum(unique_clicks) as unique_clicks
        from clicks_by_day
        group by 1, 2, 3

    )

select *
from clicks_by_month
