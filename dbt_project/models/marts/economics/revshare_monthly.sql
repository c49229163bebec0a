{# A table: months times partners, and activity is corrected for days of any age. #}
{{ config(materialized="table") }}

with

    ledger as (

        select *
        from {{ ref("commission_ledger") }}
        where entry_type in {{ commission_entry_types() }}

    ),

    commissions as (

        select *
        from {{ ref("commissions") }}
        where model = 'revshare' or (model = 'hybrid' and component = 'revshare')

    ),

    customer_months as (select * from {{ ref("int_customer_months") }}),

    activity_bounds as ({{ months_told(ref("stg_raw__player_activity"), "activity_date") }}),

    first_entries as (

        select source_id, commission_id, min(effective_date) as first_effective_date
        from ledger
        where commission_id is not null
        group by 1, 2

    ),

    commissions_of_periods as (

        select
            commissions.source_id,
            commissions.commission_id,
            coalesce(commissions.plan_id, '(none)') as plan_id,
            {{ month_of("coalesce(commissions.period_start, first_entries.first_effective_date)") }}
            as period_month,
            case
                when commissions.rate_type = 'percent' then commissions.rate_value
            end as percentage
        from commissions
        inner join
            first_entries
            on commissions.source_id = first_entries.source_id
            and commissions.commission_id = first_entries.commission_id

    ),

    -- an entry is its own partner's, whoever the commission is credited to now
    plans as (

        select
            commissions_of_periods.source_id,
            ledger.partner_id,
            commissions_of_periods.plan_id,
            commissions_of_periods.period_month,
            count(distinct commissions_of_periods.commission_id) as commissions,
            count(distinct commissions_of_periods.percentage) as percentages,
            count(
                case when commissions_of_periods.percentage is null then 1 end
            ) as without_percentage,
            max(commissions_of_periods.percentage) as percentage,
            {{ whole_sum("ledger.amount_rc") }} as booked_rc
        from commissions_of_periods
        inner join
            ledger
            on commissions_of_periods.source_id = ledger.source_id
            and commissions_of_periods.commission_id = ledger.commission_id
        group by 1, 2, 3, 4

    ),

    numbered_plans as (

        select
            *,
            case
                when percentages = 1 and without_percentage = 0 then percentage
            end as shared_percentage,
            count(*) over (partition by source_id, partner_id, period_month) as plans_of_partner
        from plans

    ),

    revenue as (

        select
            source_id,
            partner_id,
            month,
            sum(amounts_without_rate) as amounts_without_rate,
            {%- for part in revenue_parts() %} sum({{ part }}_rc) as {{ part }}_rc, {%- endfor %}
            sum(ngr_rc) as ngr_rc
        from customer_months
        group by 1, 2, 3

    ),

    with_revenue as (

        select
            numbered_plans.*,
            activity_bounds.source_id is not null as has_player_activity,
            {%- for name in revenue_parts() + ["ngr"] %}
                case
                    when activity_bounds.source_id is null or numbered_plans.plans_of_partner > 1
                    then null
                    when revenue.source_id is null
                    then {{ money("0") }}
                    when revenue.amounts_without_rate = 0
                    then {{ money("revenue." ~ name ~ "_rc") }}
                end as {{ name }}_rc {{ "," if not loop.last }}
            {%- endfor %}
        from numbered_plans
        left join
            activity_bounds
            on numbered_plans.source_id = activity_bounds.source_id
            and numbered_plans.period_month >= activity_bounds.first_month
            and activity_bounds.last_month >= numbered_plans.period_month
        left join
            revenue
            on numbered_plans.source_id = revenue.source_id
            and numbered_plans.partner_id = revenue.partner_id
            and numbered_plans.period_month = revenue.month

    ),

    with_expectation as (

        select
            *,
            {{ exchanged("ngr_rc", rate("shared_percentage * cast(0.01 as decimal(3, 2))")) }}
            as expected_rc
        from with_revenue

    ),

    revshare_monthly as (

        select
            -- ids
            source_id,
            partner_id,
            plan_id,

            -- strings
            '{{ var("reporting_currency") }}' as reporting_currency,

            -- numerics
            cast(commissions as bigint) as commissions,
            {%- for name in revenue_parts() + ["ngr"] %}
                {{ money(name ~ "_rc") }} as {{ name }}_rc,
            {%- endfor %}
            {{ ratio("shared_percentage", "100") }} as rate,
            {{ money("expected_rc") }} as expected_rc,
            {{ money("booked_rc") }} as booked_rc,
            {{ money("booked_rc - expected_rc") }} as variance_rc,

            -- booleans
            has_player_activity,

            -- dates
            period_month
        from with_expectation

    )

select *
from revshare_monthly
