{{ config(materialized="table") }}

with

    statement as (select * from {{ ref("commission_statement_monthly") }}),

    ledger as (

        select *, {{ month_of("booking_date") }} as month
        from {{ ref("commission_ledger") }}
        where entry_type in {{ commission_entry_types() }}

    ),

    commissions as (select * from {{ ref("commissions") }}),

    conversions as (

        select *, {{ month_of("created_date") }} as month
        from {{ ref("conversions") }}
        where duplicate_of_conversion_id is null and created_date is not null

    ),

    payouts as (

        select *, {{ month_of(reporting_date("completed_at")) }} as month
        from {{ ref("payouts") }}
        where completed_at is not null

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

    months as (

        select source_id, partner_id, month
        from statement {{ union_distinct() }}
        select source_id, partner_id, month
        from conversions {{ union_distinct() }}
        select source_id, partner_id, month
        from clicks {{ union_distinct() }}
        select source_id, partner_id, month
        from payouts

    ),

    conversion_counts as (

        select
            source_id,
            partner_id,
            month,
            count(*) as conversions,
            sum(case when conversion_type = 'registration' then 1 else 0 end) as registrations,
            sum(case when conversion_type = 'first_deposit' then 1 else 0 end) as first_deposits,
            sum(case when status = 'qualified' then 1 else 0 end) as qualified,
            sum(case when status = 'rejected' then 1 else 0 end) as rejected,
            sum(case when status = 'pending' then 1 else 0 end) as pending
        from conversions
        group by 1, 2, 3

    ),

    -- null, not a smaller sum, where one of the amounts has no rate
    commission_sums as (

        select
            ledger.source_id,
            ledger.partner_id,
            ledger.month,
            {%- set is_adjustment = "ledger.entry_type not in ('earned', 'restated')" %}
            {%- for name, condition in [
                (
                    "commission",
                    "not "
                    ~ is_adjustment
                    ~ " and "
                    ~ distinct_from("commissions.model", "'override'"),
                ),
                (
                    "override",
                    "not " ~ is_adjustment ~ " and commissions.model= 'override'",
                ),
                ("adjustment", is_adjustment),
            ] %}
                case
                    when
                        sum(
                            case when {{ condition }} and ledger.amount_rc is null then 1 else 0 end
                        )
                        = 0
                    then sum(case when {{ condition }} then ledger.amount_rc else 0 end)
                end as {{ name }}_rc,
            {%- endfor %}
            count(
                distinct case when not {{ is_adjustment }} then ledger.commission_id end
            ) as commissions
        from ledger
        left join
            commissions
            on ledger.source_id = commissions.source_id
            and ledger.commission_id = commissions.commission_id
        group by 1, 2, 3

    ),

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
            source_id,
            partner_id,
            month,
            count(*) as completed_payouts,
            case
                when
                    sum(
                        case
                            when
                                coalesce(provider_fee_amount, fee_amount) is not null
                                and
                                {{
                                    in_reporting_currency(
                                        "1",
                                        "case when provider_fee_amount is null then fee_currency else provider_fee_currency end",
                                    )
                                }}
                                is null
                            then 1
                            else 0
                        end
                    )
                    = 0
                then sum(coalesce(provider_fee_amount, fee_amount, 0))
            end as payout_fees_rc
        from payouts
        group by 1, 2, 3

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
                        "qualified",
                        "rejected",
                        "pending",
                    ],
                ),
                ("commission_sums", ["commissions"]),
                ("payout_fees", ["completed_payouts"]),
            ] %}
                {%- for column in columns %}
                    cast(coalesce({{ table }}.{{ column }}, 0) as bigint) as {{ column }},
                {%- endfor %}
            {%- endfor %}
            {%- for name in ["commission", "override", "adjustment"] %}
                case
                    when commission_sums.source_id is null
                    then {{ money("0") }}
                    else {{ money("commission_sums." ~ name ~ "_rc") }}
                end as {{ name }}_rc,
            {%- endfor %}
            case
                when payout_fees.source_id is null
                then {{ money("0") }}
                else {{ money("payout_fees.payout_fees_rc") }}
            end as payout_fees_rc,
            {{ money("balances.closing_balance_rc") }} as closing_balance_rc,
            -- these need what events do not say: what customers were worth, and what was spent on
            -- marketing
            {%- for name in ["player_revenue_rc", "marketing_spend_rc", "cost_rc", "margin_rc"] %}
                {{ money("null") }} as {{ name }},
            {%- endfor %}
            cast(null as {{ type_double() }}) as roi,
            cast(null as bigint) as active_customers,
            cast(null as {{ type_double() }}) as retention_rate,

            -- dates
            months.month
        from months
        {%- for table in [
                "clicks",
                "conversion_counts",
                "commission_sums",
                "balances",
                "payout_fees",
            ] %}
            left join
                {{ table }}
                on months.source_id = {{ table }}.source_id
                and months.partner_id = {{ table }}.partner_id
                and months.month = {{ table }}.month
        {%- endfor %}
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
