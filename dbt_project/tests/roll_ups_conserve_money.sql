{% set clawed_back = (
    "entry_type = 'adjusted' and adjustment_type in ('clawback', 'chargeback', 'refund')"
) %}

with

    amounts as (

        {% for what, rows, in_rows, roll_up, in_roll_up, currency in [
            (
                "earned",
                "commission_ledger",
                "case when entry_type in ('earned', 'restated') then amount else 0 end",
                "commission_clawbacks_monthly",
                "earned_amount",
                "currency",
            ),
            (
                "clawed back",
                "commission_ledger",
                "case when " ~ clawed_back ~ " then - amount else 0 end",
                "commission_clawbacks_monthly",
                "clawed_back_amount",
                "currency",
            ),
            (
                "paid out",
                "payouts",
                "amount",
                "payout_performance_daily",
                "open_amount + completed_amount + failed_amount + returned_amount",
                "currency",
            ),
            (
                "sent",
                "payout_performance_daily",
                "amount",
                "payouts",
                "amount",
                "currency",
            ),
            (
                "taken off balances",
                "commission_ledger",
                "case when entry_type in ('paid', 'returned') then - amount else 0 end",
                "payout_reconciliation",
                "paid_amount",
                "debit_currency",
            ),
        ] %}
            select
                '{{ what }}' as what, source_id, currency, {{ in_rows }} as in_rows, 0 as in_roll_up
            from {{ ref(rows) }}
            union all
            select
                '{{ what }}' as what,
                source_id,
                {{ currency }} as currency,
                0 as in_rows,
                {{ in_roll_up }} as in_roll_up
            from {{ ref(roll_up) }} {{ "union all" if not loop.last }}
        {% endfor %}

    ),

    -- values in the reporting currency, of the days of partners of which all have a rate
    values_by_day as (

        {% for roll_up, side in [("conversion_funnel_daily", 1), ("traffic_source_daily", -1)] %}
            select
                source_id,
                partner_id,
                event_date,
                {{ side }} * value_rc as value_rc,
                case when is_rate_missing then 1 else 0 end as without_rate
            from {{ ref(roll_up) }} {{ "union all" if not loop.last }}
        {% endfor %}

    ),

    overrides as (

        select
            source_id,
            parent_partner_id as partner_id,
            month,
            override_rc as amount_rc,
            case when override_rc is null then 1 else 0 end as without_rate
        from {{ ref("sub_affiliate_overrides_monthly") }}
        union all
        select
            source_id,
            partner_id,
            month,
            - override_earned_rc,
            case when override_earned_rc is null then 1 else 0 end as without_rate
        from {{ ref("partner_economics") }}

    ),

    roll_ups_that_differ as (

        select what, source_id, currency as key_of_difference
        from amounts
        group by what, source_id, currency
        having sum(coalesce(in_rows, 0)) != sum(coalesce(in_roll_up, 0))
        union all
        select 'value of conversions', source_id, partner_id
        from values_by_day
        group by source_id, partner_id, event_date
        having sum(without_rate) = 0 and sum(value_rc) != 0
        union all
        select 'overrides', source_id, partner_id
        from overrides
        group by source_id, partner_id, month
        having sum(without_rate) = 0 and sum(amount_rc) != 0

    )

select *
from roll_ups_that_differ
