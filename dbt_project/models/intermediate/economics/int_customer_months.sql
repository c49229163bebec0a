{# A table: activity is corrected for days of any age, and says nothing of which. #}
{{ config(materialized="table") }}

with

    customers as (select * from {{ ref("int_customers") }}),

    fx_rates as (select * from {{ ref("stg_raw__fx_rates") }}),

    player_activity as (select * from {{ ref("stg_raw__player_activity") }}),

    activity as (

        select
            player_activity.source_id,
            player_activity.customer_id,
            {{ month_of("player_activity.activity_date") }} as month,
            coalesce(player_activity.is_active, true) as is_active,
            {%- for part in revenue_parts() %}
                {{
                    in_reporting_currency(
                        "player_activity." ~ part, "player_activity.currency", "fx_rates.fx_rate"
                    )
                }} as {{ part }}_rc,
            {%- endfor %}
            {{ net_gaming_revenue("player_activity.") }} is not null
            and {{ in_reporting_currency("1", "player_activity.currency", "fx_rates.fx_rate") }}
            is null as lacks_a_rate
        from player_activity
        left join
            fx_rates
            on player_activity.currency = fx_rates.currency
            and player_activity.activity_date = fx_rates.valid_on

    ),

    activity_by_month as (

        select
            source_id,
            customer_id,
            month,
            max(case when is_active then 1 else 0 end) = 1 as is_active,
            {%- for part in revenue_parts() %} sum({{ part }}_rc) as {{ part }}_rc, {%- endfor %}
            sum(case when lacks_a_rate then 1 else 0 end) as amounts_without_rate
        from activity
        group by 1, 2, 3

    ),

    customer_months as (

        select
            activity_by_month.source_id,
            activity_by_month.customer_id,
            customers.partner_id,
            customers.acquired_month,
            activity_by_month.month,
            activity_by_month.is_active,
            {%- for part in revenue_parts() %}
                {{ money("activity_by_month." ~ part ~ "_rc") }} as {{ part }}_rc,
            {%- endfor %}
            {{ money(net_gaming_revenue("activity_by_month.", "_rc")) }} as ngr_rc,
            activity_by_month.amounts_without_rate
        from activity_by_month
        inner join
            customers
            on activity_by_month.source_id = customers.source_id
            and activity_by_month.customer_id = customers.customer_id

    )

select *
from customer_months
