{# A table: as many rows as cohorts have months, and each later row is summed from all before it. #}
{{ config(materialized="table") }}

{% set so_far -%}
    partition by source_id, partner_id, acquisition_month
    order by month
    rows between unbounded preceding and current row
{%- endset %}

with recursive

    customer_months as (select * from {{ ref("int_customer_months") }}),

    fx_rates as (select * from {{ ref("stg_raw__fx_rates") }}),

    bookings as (select * from {{ ref("int_commission_bookings") }}),

    marketing_spend as (

        select *, {{ month_of("spend_date") }} as month from {{ ref("stg_raw__marketing_spend") }}

    ),

    spend_bounds as ({{ months_told(ref("stg_raw__marketing_spend"), "spend_date") }}),

    activity_bounds as ({{ months_told(ref("stg_raw__player_activity"), "activity_date") }}),

    customers as (

        select source_id, customer_id, partner_id, acquired_month as acquisition_month
        from {{ ref("int_customers") }}

    ),

    cohorts as (

        select source_id, partner_id, acquisition_month, count(*) as customers
        from customers
        group by 1, 2, 3

    ),

    -- what was booked for a commission that names the customer, or whose conversion does; never
    -- before the month in which the customer came
    commission_by_month as (

        select
            customers.source_id,
            customers.partner_id,
            customers.acquisition_month,
            greatest(bookings.month, customers.acquisition_month) as month,
            {{ whole_sum("bookings.amount_rc") }} as commission_rc
        from bookings
        inner join
            customers
            on bookings.source_id = customers.source_id
            and bookings.customer_id = customers.customer_id
        group by 1, 2, 3, 4

    ),

    activity_by_month as (

        select
            source_id,
            partner_id,
            acquired_month as acquisition_month,
            greatest(month, acquired_month) as month,
            count(distinct case when is_active then customer_id end) as active_customers,
            case when sum(amounts_without_rate) = 0 then sum(ngr_rc) end as ngr_rc
        from customer_months
        group by 1, 2, 3, 4

    ),

    spend_by_month as (

        select
            marketing_spend.source_id,
            marketing_spend.partner_id,
            marketing_spend.month as acquisition_month,
            {{
                whole_sum(
                    in_reporting_currency(
                        "marketing_spend.amount", "marketing_spend.currency", "fx_rates.fx_rate"
                    )
                )
            }} as marketing_spend_rc
        from marketing_spend
        left join
            fx_rates
            on marketing_spend.currency = fx_rates.currency
            and marketing_spend.spend_date = fx_rates.valid_on
        where marketing_spend.partner_id is not null
        group by 1, 2, 3

    ),

    newest_months as (

        select month
        from bookings
        union all
        select acquisition_month as month
        from customers
        union all
        select month
        from customer_months

    ),

    all_months {{ recursive_columns(["month", "last_month"]) }} as (

        select min(month) as month, max(month) as last_month
        from newest_months
        having count(*) > 0
        union all
        select cast({{ dbt.dateadd("month", 1, "month") }} as date) as month, last_month
        from all_months
        where month < last_month

    ),

    cohort_months as (

        select
            cohorts.source_id,
            cohorts.partner_id,
            cohorts.acquisition_month,
            all_months.month,
            cohorts.customers,
            case
                when activity_bounds.source_id is not null
                then coalesce(activity_by_month.active_customers, 0)
            end as active_customers,
            case
                when activity_bounds.source_id is null
                then null
                when activity_by_month.source_id is null
                then {{ money("0") }}
                else {{ money("activity_by_month.ngr_rc") }}
            end as ngr_rc,
            case
                when commission_by_month.source_id is null
                then {{ money("0") }}
                else {{ money("commission_by_month.commission_rc") }}
            end as commission_rc,
            case
                when spend_bounds.source_id is null
                then null
                when
                    spend_by_month.source_id is null or all_months.month > cohorts.acquisition_month
                then {{ money("0") }}
                else {{ money("spend_by_month.marketing_spend_rc") }}
            end as marketing_spend_rc
        from cohorts
        inner join all_months on all_months.month >= cohorts.acquisition_month
        left join
            activity_bounds
            on cohorts.source_id = activity_bounds.source_id
            and all_months.month >= activity_bounds.first_month
            and activity_bounds.last_month >= all_months.month
        left join
            spend_bounds
            on cohorts.source_id = spend_bounds.source_id
            and cohorts.acquisition_month >= spend_bounds.first_month
            and spend_bounds.last_month >= cohorts.acquisition_month
        {%- for table in ["activity_by_month", "commission_by_month"] %}
            left join
                {{ table }}
                on cohorts.source_id = {{ table }}.source_id
                and cohorts.partner_id = {{ table }}.partner_id
                and cohorts.acquisition_month = {{ table }}.acquisition_month
                and all_months.month = {{ table }}.month
        {%- endfor %}
        left join
            spend_by_month
            on cohorts.source_id = spend_by_month.source_id
            and cohorts.partner_id = spend_by_month.partner_id
            and cohorts.acquisition_month = spend_by_month.acquisition_month

    ),

    with_cost as (

        select
            *,
            {{ months_from("acquisition_month", "month") }} as age_months,
            commission_rc + marketing_spend_rc as cost_rc,
            ngr_rc - commission_rc - marketing_spend_rc as margin_rc
        from cohort_months

    ),

    with_sums as (

        select
            *,
            case
                when count(*) over ({{ so_far }}) = count(margin_rc) over ({{ so_far }})
                then sum(margin_rc) over ({{ so_far }})
            end as cumulative_margin_rc
        from with_cost

    ),

    paid_back_at as (

        select source_id, partner_id, acquisition_month, min(age_months) as payback_age_months
        from with_sums
        where cumulative_margin_rc >= 0
        group by 1, 2, 3

    ),

    customer_cohorts_monthly as (

        select
            -- ids
            with_sums.source_id,
            with_sums.partner_id,

            -- strings
            '{{ var("reporting_currency") }}' as reporting_currency,

            -- numerics
            with_sums.age_months,
            cast(with_sums.customers as bigint) as customers,
            cast(with_sums.active_customers as bigint) as active_customers,
            {{ ratio("with_sums.active_customers", "with_sums.customers") }} as retention_rate,
            {%- for name in [
                "ngr_rc",
                "commission_rc",
                "marketing_spend_rc",
                "cost_rc",
                "margin_rc",
                "cumulative_margin_rc",
            ] %}
                {{ money("with_sums." ~ name) }} as {{ name }},
            {%- endfor %}
            paid_back_at.payback_age_months,

            -- dates
            with_sums.acquisition_month,
            with_sums.month
        from with_sums
        left join
            paid_back_at
            on with_sums.source_id = paid_back_at.source_id
            and with_sums.partner_id = paid_back_at.partner_id
            and with_sums.acquisition_month = paid_back_at.acquisition_month

    )

select *
from customer_cohorts_monthly
