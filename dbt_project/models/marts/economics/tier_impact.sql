{# A table: there are few tier changes, and the days around them change with money of any age. #}
{{ config(materialized="table") }}

with

    tier_change_events as (

        select
            events.*,
            row_number() over (
                partition by events.source_id, events.tier_change_id
                order by {{ order_key("events", "desc") }}
            ) as newness
        from {{ ref("stg_raw__commission_events") }} as events
        left join
            {{ ref("int_test_partners") }} as test_partners
            on events.source_id = test_partners.source_id
            and events.partner_id = test_partners.partner_id
        where events.event_type = 'commission.tier_changed' and test_partners.partner_id is null

    ),

    tier_changes as (

        select
            *,
            cast({{ dbt.dateadd("day", -30, "tier_effective_from") }} as date) as before_from,
            cast({{ dbt.dateadd("day", 30, "tier_effective_from") }} as date) as after_until,
            lead(tier_effective_from) over (
                partition by source_id, partner_id, tier_change_plan_id
                order by tier_effective_from, {{ order_key("tier_change_events") }}
            ) as next_effective_from
        from tier_change_events
        where newness = 1

    ),

    partners_with_changes as (select distinct source_id, partner_id from tier_changes),

    ledger as (

        select *
        from {{ ref("commission_ledger") }} as ledger
        where {{ is_among("ledger", "partners_with_changes", ["source_id", "partner_id"]) }}

    ),

    commissions as (select * from {{ ref("commissions") }}),

    -- by days first: a partner may have many tier changes, and the same days lie around several
    conversions_by_day as (

        select source_id, partner_id, created_date as day, count(*) as conversions
        from {{ ref("conversions") }} as conversions
        where
            duplicate_of_conversion_id is null
            and {{ is_among("conversions", "partners_with_changes", ["source_id", "partner_id"]) }}
        group by 1, 2, 3

    ),

    earnings_by_day as (

        select
            source_id, partner_id, effective_date as day, {{ whole_sum("amount_rc") }} as amount_rc
        from ledger
        where entry_type in ('earned', 'restated')
        group by 1, 2, 3

    ),

    fx_rates as (select * from {{ ref("stg_raw__fx_rates") }}),

    customers as (

        select source_id, customer_id, partner_id
        from {{ ref("int_customers") }} as customers
        where
            acquired_month is not null
            and {{ is_among("customers", "partners_with_changes", ["source_id", "partner_id"]) }}

    ),

    player_activity as (select * from {{ ref("stg_raw__player_activity") }}),

    activity_bounds as (

        select source_id, min(activity_date) as first_day, max(activity_date) as last_day
        from player_activity
        group by 1

    ),

    newest_days as (

        select max(day) as newest_day
        from
            (
                select max(effective_date) as day
                from {{ ref("commission_ledger") }}
                union all
                select max(created_date)
                from {{ ref("conversions") }}
                where duplicate_of_conversion_id is null
            ) as days

    ),

    days_of_customers as (

        select
            customers.source_id,
            customers.partner_id,
            player_activity.activity_date,
            {%- for part in revenue_parts() %}
                {{
                    in_reporting_currency(
                        "player_activity." ~ part, "player_activity.currency", "fx_rates.fx_rate"
                    )
                }} as {{ part }}_rc,
            {%- endfor %}
            {{ net_gaming_revenue("player_activity.") }} is not null as has_amount
        from player_activity
        inner join
            customers
            on player_activity.source_id = customers.source_id
            and player_activity.customer_id = customers.customer_id
        left join
            fx_rates
            on player_activity.currency = fx_rates.currency
            and player_activity.activity_date = fx_rates.valid_on

    ),

    revenue_by_day as (

        select
            source_id,
            partner_id,
            activity_date as day,
            {{ whole_sum(net_gaming_revenue("", "_rc"), "has_amount") }} as ngr_rc
        from days_of_customers
        group by 1, 2, 3

    ),

    {% for name, days, measured in [
        ("conversion", "conversions_by_day", "conversions"),
        ("commission", "earnings_by_day", "amount_rc"),
        ("revenue", "revenue_by_day", "ngr_rc"),
    ] %}
        {{ name }}_sums as (

            select
                tier_changes.source_id,
                tier_changes.tier_change_id,
                {%- for side, compared in [("before", "<"), ("after", ">=")] %}
                    {{
                        whole_sum(
                            "days." ~ measured,
                            "days.day " ~ compared ~ " tier_changes.tier_effective_from",
                        )
                    }} as {{ side }}_sum{{ "," if not loop.last }}
                {%- endfor %}
            from tier_changes
            inner join
                {{ days }} as days
                on tier_changes.source_id = days.source_id
                and tier_changes.partner_id = days.partner_id
                and days.day >= tier_changes.before_from
                and days.day < tier_changes.after_until
            group by 1, 2

        ),
    {% endfor %}

    earnings_by_rate as (

        select
            ledger.source_id,
            ledger.partner_id,
            ledger.effective_date,
            commissions.rate_value,
            commissions.plan_id,
            {{ whole_sum("ledger.amount_rc") }} as amount_rc
        from ledger
        inner join
            commissions
            on ledger.source_id = commissions.source_id
            and ledger.commission_id = commissions.commission_id
        where
            ledger.entry_type in ('earned', 'restated')
            and exists (
                select 1
                from tier_changes
                where
                    tier_changes.source_id = ledger.source_id
                    and tier_changes.partner_id = ledger.partner_id
                    and tier_changes.tier_retroactive_from is not null
            )
        group by 1, 2, 3, 4, 5

    ),

    -- what was calculated at the old rate since the day from which the new one is to hold
    retroactive_sums as (

        select
            tier_changes.source_id,
            tier_changes.tier_change_id,
            {{ whole_sum("days.amount_rc") }} as amount_rc
        from tier_changes
        inner join
            earnings_by_rate as days
            on tier_changes.source_id = days.source_id
            and tier_changes.partner_id = days.partner_id
            and days.effective_date >= tier_changes.tier_retroactive_from
            and days.effective_date < tier_changes.tier_effective_from
            and days.rate_value = tier_changes.previous_tier_rate_value
            and coalesce(days.plan_id, '')
            = coalesce(tier_changes.tier_change_plan_id, days.plan_id, '')
        group by 1, 2

    ),

    received_sums as (

        select
            tier_changes.source_id,
            tier_changes.tier_change_id,
            {{ whole_sum("ledger.amount_rc") }} as received_rc
        from tier_changes
        inner join
            ledger
            on tier_changes.source_id = ledger.source_id
            and tier_changes.partner_id = ledger.partner_id
            and ledger.adjustment_type = 'retro_tier'
            and ledger.effective_date >= tier_changes.tier_effective_from
            and ledger.effective_date
            < coalesce(tier_changes.next_effective_from, cast('9999-12-31' as date))
        where tier_changes.tier_is_retroactive
        group by 1, 2

    ),

    with_sums as (

        select
            tier_changes.*,
            newest_days.newest_day,
            coalesce(conversion_sums.before_sum, 0) as conversions_before,
            coalesce(conversion_sums.after_sum, 0) as conversions_after,
            {%- for side in ["before", "after"] %}
                case
                    when commission_sums.source_id is null
                    then {{ money("0") }}
                    else {{ money("commission_sums." ~ side ~ "_sum") }}
                end as commission_{{ side }}_rc,
                case
                    when activity_{{ side }}.source_id is null
                    then null
                    when revenue_sums.source_id is null
                    then {{ money("0") }}
                    else {{ money("revenue_sums." ~ side ~ "_sum") }}
                end as player_revenue_{{ side }}_rc,
            {%- endfor %}
            case
                when retroactive_sums.source_id is null
                then {{ money("0") }}
                else {{ money("retroactive_sums.amount_rc") }}
            end as retroactive_amount_rc,
            case
                when received_sums.source_id is null
                then {{ money("0") }}
                else {{ money("received_sums.received_rc") }}
            end as received_rc,
            coalesce(tier_changes.tier_is_retroactive, false) as is_retroactive
        from tier_changes
        cross join newest_days
        {%- for table in [
                "conversion_sums",
                "commission_sums",
                "revenue_sums",
                "retroactive_sums",
                "received_sums",
            ] %}
            left join
                {{ table }}
                on tier_changes.source_id = {{ table }}.source_id
                and tier_changes.tier_change_id = {{ table }}.tier_change_id
        {%- endfor %}
        left join
            activity_bounds as activity_before
            on tier_changes.source_id = activity_before.source_id
            and tier_changes.before_from >= activity_before.first_day
            and activity_before.last_day
            >= cast({{ dbt.dateadd("day", -1, "tier_changes.tier_effective_from") }} as date)
        left join
            activity_bounds as activity_after
            on tier_changes.source_id = activity_after.source_id
            and tier_changes.tier_effective_from >= activity_after.first_day
            and activity_after.last_day
            >= cast({{ dbt.dateadd("day", -1, "tier_changes.after_until") }} as date)

    ),

    -- at the new rate instead of the old: times the one, divided by the other
    with_expectation as (

        select
            *,
            case
                when
                    is_retroactive
                    and tier_retroactive_from is not null
                    and previous_tier_rate_type = new_tier_rate_type
                    and previous_tier_rate_value > 0
                then
                    {{
                        exchanged(
                            exchanged("retroactive_amount_rc", "new_tier_rate_value"),
                            rate(inverse_rate("nullif(previous_tier_rate_value, 0)")),
                        )
                    }} - retroactive_amount_rc
            end as expected_rc
        from with_sums

    ),

    tier_impact as (

        select
            -- ids
            source_id,
            tier_change_id,
            partner_id,
            tier_change_plan_id as plan_id,
            event_id as source_event_id,

            -- strings
            coalesce(previous_tier_name, previous_tier_id) as previous_tier,
            coalesce(new_tier_name, new_tier_id) as new_tier,
            tier_direction as direction,
            '{{ var("reporting_currency") }}' as reporting_currency,

            -- numerics
            cast(conversions_before as bigint) as conversions_before,
            cast(conversions_after as bigint) as conversions_after,
            {%- for name in [
                "commission_before_rc",
                "commission_after_rc",
                "player_revenue_before_rc",
                "player_revenue_after_rc",
            ] %}
                {{ money(name) }} as {{ name }},
            {%- endfor %}
            {{ money("expected_rc") }} as retro_expected_rc,
            {{ money("case when is_retroactive then received_rc end") }} as retro_received_rc,
            {{ money("case when is_retroactive then received_rc - expected_rc end") }}
            as retro_variance_rc,

            -- booleans
            is_retroactive,
            coalesce(
                newest_day >= cast({{ dbt.dateadd("day", -1, "after_until") }} as date), false
            ) as is_complete,

            -- dates
            tier_effective_from as effective_from,
            tier_retroactive_from as retroactive_from
        from with_expectation

    )

select *
from tier_impact
