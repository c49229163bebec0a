{{
    config(
        unique_key=["source_id", "partner_id", "click_date"],
        touched_by="touched_clicks",
    )
}}

{% set touched = ref("touched_clicks") %}

with

    clicks as (select * from {{ ref("clicks") }}),

    clicks_by_day as (

        select
            source_id,
            partner_id,
            click_date,
            coalesce(campaign_id, {{ none_given() }}) as campaign_id,
            coalesce(geo_country, {{ none_given() }}) as country,
            coalesce(traffic_source, {{ none_given() }}) as traffic_source,
            coalesce(sub1, {{ none_given() }}) as sub1,
            count(*) as gross_clicks,
            cast(
                sum(case when validity in ('valid', 'duplicate') then 1 else 0 end) as bigint
            ) as total_clicks,
            cast(
                sum(case when validity = 'valid' and is_unique then 1 else 0 end) as bigint
            ) as unique_clicks,
            cast(sum(case when validity = 'invalid' then 1 else 0 end) as bigint) as invalid_clicks,
            cast(sum(case when is_bot then 1 else 0 end) as bigint) as bot_clicks
        from clicks
        where {{ only_touched("clicks", touched, ["source_id", "partner_id", "click_date"]) }}
        group by 1, 2, 3, 4, 5, 6, 7

    )

select *
from clicks_by_day
