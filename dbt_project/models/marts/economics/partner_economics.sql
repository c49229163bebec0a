{{ config(materialized="table") }}

with

    statement as (select * from {{ ref("commission_statement_monthly") }}),

    bookings as (select * from {{ ref("int_commission_bookings") }}),

    partners as (select * from {{ ref("partners") }}),

    fx_rates as (select * from {{ ref("stg_raw__fx_rates") }}),

    payouts as (

        select
            *,
            {{ reporting_date("completed_at") }} as completed_date,
            {{ month_of(reporting_date("completed_at")) }} as month,
            coalesce(provider_fee_amount, fee_amount) as cost_amount,
            case
                when provider_fee_amount is null then fee_currency else provider_fee_currency
            end as cost_currency
        from {{ ref("payouts") }}
        where completed_at is not null

    ),

    customer_months as (select * from {{ ref("int_customer_months") }}),

    marketing_spend as (

        select *, {{ month_of("spend_date") }} as month from {{ ref("stg_raw__marketing_spend") }}

    ),

    clicks as (

        select clicks_by_month.*
        from {{ ref("int_clicks_by_month") }} as clicks_by_month
        left join
            {{ ref("int_test_partners") }} as test_partners
            on clicks_by_month.source_id = test_partners.source_id
            and clicks_by_month.partner_id = test_partners.partner_id
        where test_partners.partner_id is null

    ),

    partner_events as (

        select *, {{ month_of(reporting_date("occurred_at")) }} as month
        from {{ ref("stg_raw__partner_events") }}

    ),

    tiers_seen as (

        select *, {{ month_of("effective_from") }} as month from {{ ref("int_partner_tiers_seen") }}

    ),

    conversion_counts as (

        select
            source_id,
            partner_id,
            {{ month_of("created_date") }} as month,
            count(*) as conversions,
            sum(case when conversion_type = 'registration' then 1 else 0 end) as registrations,
            sum(case when conversion_type = 'first_deposit' then 1 else 0 end) as first_deposits,
            sum(case when status = 'qualified' then 1 else 0 end) as qualified,
            sum(case when status = 'rejected' then 1 else 0 end) as rejected,
            sum(case when status = 'pending' then 1 else 0 end) as pending,
            sum(case when first_qualified_at is not null then 1 else 0 end) as ever_qualified,
            sum(case when was_reversed then 1 else 0 end) as reversed,
            sum(
                case
                    when conversion_type = 'first_deposit' and status = 'qualified' then 1 else 0
                end
            ) as qualified_first_deposits
        from {{ ref("conversions") }}
        where duplicate_of_conversion_id is null and created_date is not null
        group by 1, 2, 3

    ),

    -- an override is paid to the partner above, and is a cost of the partner whose work it is paid
    -- for: there the revenue is, and is once
    bookings_with_origin as (

        select
            bookings.*,
            coalesce(
                origins.partner_id, bookings.conversion_partner_id, bookings.partner_id
            ) as origin_partner_id
        from bookings
        left join
            partners as origins
            on bookings.source_id = origins.source_id
            and bookings.sub_affiliate_source_partner_id = origins.partner_id

    ),

    commission_sums as (

        select
            source_id,
            partner_id,
            month,
            {{ whole_sum("amount_rc", "not is_override and not is_adjustment") }} as commission_rc,
            {{ whole_sum("amount_rc", "not is_override and is_adjustment") }} as adjustment_rc,
            {{ whole_sum("amount_rc", "is_override") }} as override_earned_rc,
            count(distinct case when not is_adjustment then commission_id end) as commissions
        from bookings
        group by 1, 2, 3

    ),

    override_sums as (

        select
            source_id,
            origin_partner_id as partner_id,
            month,
            {{ whole_sum("amount_rc") }} as override_rc
        from bookings_with_origin
        where is_override
        group by 1, 2, 3

    ),

    cohort_sums as (

        select
            source_id,
            conversion_partner_id as partner_id,
            conversion_month as month,
            {{ whole_sum("amount_rc") }} as cohort_commission_rc
        from bookings
        where conversion_partner_id is not null and conversion_month is not null
        group by 1, 2, 3

    ),

    player_sums as (

        select
            source_id,
            partner_id,
            month,
            case when sum(amounts_without_rate) = 0 then sum(ngr_rc) end as ngr_rc,
            sum(case when is_active then 1 else 0 end) as active_customers
        from customer_months
        group by 1, 2, 3

    ),

    retained_customers as (

        select
            earlier.source_id,
            earlier.partner_id,
            cast({{ dbt.dateadd("month", 1, "earlier.month") }} as date) as month,
            count(*) as active_before,
            sum(case when later.is_active then 1 else 0 end) as retained
        from customer_months as earlier
        left join
            customer_months as later
            on earlier.source_id = later.source_id
            and earlier.customer_id = later.customer_id
            and later.month = cast({{ dbt.dateadd("month", 1, "earlier.month") }} as date)
        where earlier.is_active
        group by 1, 2, 3

    ),

    -- what is spent on nobody we know is in data_exceptions
    spend_sums as (

        select
            marketing_spend.source_id,
            marketing_spend.partner_id,
            marketing_spend.month,
            {{
                whole_sum(
                    in_reporting_currency(
                        "marketing_spend.amount", "marketing_spend.currency", "fx_rates.fx_rate"
                    )
                )
            }} as marketing_spend_rc
        from marketing_spend
        inner join
            partners
            on marketing_spend.source_id = partners.source_id
            and marketing_spend.partner_id = partners.partner_id
        left join
            fx_rates
            on marketing_spend.currency = fx_rates.currency
            and marketing_spend.spend_date = fx_rates.valid_on
        group by 1, 2, 3

    ),

    -- a month beyond what the inputs have said of a source is not known, and not 0
    activity_bounds as ({{ months_told(ref("stg_raw__player_activity"), "activity_date") }}),

    spend_bounds as ({{ months_told(ref("stg_raw__marketing_spend"), "spend_date") }}),

    balances as (

        select
            source_id,
            partner_id,
            month,
            case when count(closing_rc) = count(*) then sum(closing_rc) end as closing_balance_rc
        from statement
        group by 1, 2, 3

    ),

    -- what the provider charged once it paid, else what the platform said it would cost
    payout_fees as (

        select
            payouts.source_id,
            payouts.partner_id,
            payouts.month,
            count(*) as completed_payouts,
            {{
                whole_sum(
                    in_reporting_currency(
                        "payouts.cost_amount", "payouts.cost_currency", "fx_rates.fx_rate"
                    ),
                    "payouts.cost_amount is not null",
                )
            }} as payout_fees_rc
        from payouts
        left join
            fx_rates
            on payouts.cost_currency = fx_rates.currency
            and payouts.completed_date = fx_rates.valid_on
        group by 1, 2, 3

    ),

    months as (

        select source_id, partner_id, month
        from statement
        {% for table in [
                "conversion_counts",
                "clicks",
                "payouts",
                "override_sums",
                "player_sums",
                "spend_sums",
            ] %}
                {{ union_distinct() }} select source_id, partner_id, month from {{ table }}
        {% endfor %}

    ),

    statuses_by_month as (

        select
            months.source_id,
            months.partner_id,
            months.month,
            partner_events.event_type,
            row_number() over (
                partition by months.source_id, months.partner_id, months.month
                order by {{ order_key("partner_events", "desc") }}
            ) as newness
        from months
        inner join
            partner_events
            on months.source_id = partner_events.source_id
            and months.partner_id = partner_events.partner_id
            and months.month >= partner_events.month

    ),

    tiers_by_month as (

        select
            months.source_id,
            months.partner_id,
            months.month,
            tiers_seen.tier,
            row_number() over (
                partition by months.source_id, months.partner_id, months.month
                order by tiers_seen.effective_from desc, {{ order_key("tiers_seen", "desc") }}
            ) as newness
        from months
        inner join
            tiers_seen
            on months.source_id = tiers_seen.source_id
            and months.partner_id = tiers_seen.partner_id
            and months.month >= tiers_seen.month

    ),

    amounts as (

        select
            months.source_id,
            months.partner_id,
            months.month,
            {%- for table, name in [
                ("commission_sums", "commission_rc"),
                ("override_sums", "override_rc"),
                ("commission_sums", "adjustment_rc"),
                ("commission_sums", "override_earned_rc"),
                ("cohort_sums", "cohort_commission_rc"),
                ("payout_fees", "payout_fees_rc"),
            ] %}
                case
                    when {{ table }}.source_id is null
                    then {{ money("0") }}
                    else {{ money(table ~ "." ~ name) }}
                end as {{ name }},
            {%- endfor %}
            {{ money("balances.closing_balance_rc") }} as closing_balance_rc,
            activity_bounds.source_id is not null as has_player_activity,
            spend_bounds.source_id is not null as has_marketing_spend,
            case
                when activity_bounds.source_id is null
                then null
                when player_sums.source_id is null
                then {{ money("0") }}
                else {{ money("player_sums.ngr_rc") }}
            end as player_revenue_rc,
            case
                when activity_bounds.source_id is not null
                then coalesce(player_sums.active_customers, 0)
            end as active_customers,
            case
                when activity_bounds.source_id is not null
                then {{ ratio("retained_customers.retained", "retained_customers.active_before") }}
            end as retention_rate,
            case
                when spend_bounds.source_id is null
                then null
                when spend_sums.source_id is null
                then {{ money("0") }}
                else {{ money("spend_sums.marketing_spend_rc") }}
            end as marketing_spend_rc
        from months
        {%- for table in [
                "commission_sums",
                "override_sums",
                "cohort_sums",
                "payout_fees",
                "balances",
                "player_sums",
                "retained_customers",
                "spend_sums",
            ] %}
            left join
                {{ table }}
                on months.source_id = {{ table }}.source_id
                and months.partner_id = {{ table }}.partner_id
                and months.month = {{ table }}.month
        {%- endfor %}
        {%- for table in ["activity_bounds", "spend_bounds"] %}
            left join
                {{ table }}
                on months.source_id = {{ table }}.source_id
                and months.month >= {{ table }}.first_month
                and {{ table }}.last_month >= months.month
        {%- endfor %}

    ),

    amounts_with_cost as (

        select
            *,
            commission_rc + override_rc + adjustment_rc as net_commission_rc,
            commission_rc
            + override_rc
            + adjustment_rc
            + payout_fees_rc
            + marketing_spend_rc as cost_rc
        from amounts

    ),

    partner_economics as (

        select
            -- ids
            months.source_id,
            months.partner_id,

            -- strings
            case
                when statuses_by_month.event_type = 'partner.registered'
                then 'pending'
                when statuses_by_month.event_type = 'partner.approved'
                then 'active'
                else replace(statuses_by_month.event_type, 'partner.', '')
            end as status,
            tiers_by_month.tier,
            '{{ var("reporting_currency") }}' as reporting_currency,

            -- numerics
            {%- for table, columns in [
                ("clicks", ["gross_clicks", "total_clicks", "unique_clicks"]),
                (
                    "conversion_counts",
                    [
                        "conversions",
                        "registrations",
                        "first_deposits",
                        "qualified_first_deposits",
                        "qualified",
                        "rejected",
                        "pending",
                        "ever_qualified",
                        "reversed",
                    ],
                ),
                ("commission_sums", ["commissions"]),
                ("payout_fees", ["completed_payouts"]),
            ] %}
                {%- for column in columns %}
                    cast(coalesce({{ table }}.{{ column }}, 0) as bigint) as {{ column }},
                {%- endfor %}
            {%- endfor %}
            {%- for name in [
                "player_revenue_rc",
                "commission_rc",
                "override_rc",
                "adjustment_rc",
                "payout_fees_rc",
                "marketing_spend_rc",
                "cost_rc",
            ] %}
                {{ money("amounts." ~ name) }} as {{ name }},
            {%- endfor %}
            {{ money("amounts.player_revenue_rc - amounts.cost_rc") }} as margin_rc,
            {{ money("amounts.override_earned_rc") }} as override_earned_rc,
            {{ money("amounts.cohort_commission_rc") }} as cohort_commission_rc,
            {{ money("amounts.closing_balance_rc") }} as closing_balance_rc,
            {{ ratio("amounts.player_revenue_rc - amounts.cost_rc", "amounts.cost_rc") }} as roi,
            {{
                ratio(
                    "amounts.cohort_commission_rc", "conversion_counts.qualified_first_deposits"
                )
            }} as effective_cpa,
            {{ ratio("amounts.net_commission_rc", "amounts.player_revenue_rc") }}
            as effective_commission_rate,
            {{ ratio("conversion_counts.reversed", "conversion_counts.ever_qualified") }}
            as reversal_rate,
            cast(amounts.active_customers as bigint) as active_customers,
            amounts.retention_rate,

            -- booleans
            amounts.has_player_activity,
            amounts.has_marketing_spend,

            -- dates
            months.month
        from months
        {%- for table in ["clicks", "conversion_counts", "commission_sums", "payout_fees"] %}
            left join
                {{ table }}
                on months.source_id = {{ table }}.source_id
                and months.partner_id = {{ table }}.partner_id
                and months.month = {{ table }}.month
        {%- endfor %}
        inner join
            amounts_with_cost as amounts
            on months.source_id = amounts.source_id
            and months.partner_id = amounts.partner_id
            and months.month = amounts.month
        {%- for table in ["statuses_by_month", "tiers_by_month"] %}
            left join
                {{ table }}
                on months.source_id = {{ table }}.source_id
                and months.partner_id = {{ table }}.partner_id
                and months.month = {{ table }}.month
                and {{ table }}.newness = 1
        {%- endfor %}

    )

select *
from partner_economics
