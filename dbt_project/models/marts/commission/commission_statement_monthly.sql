{{ config(materialized="table") }}

{% set so_far -%}
    partition by source_id, partner_id, currency
    order by month
    rows between unbounded preceding and current row
{%- endset %}

with recursive

    ledger as (

        select *, {{ month_of("booking_date") }} as month from {{ ref("commission_ledger") }}

    ),

    moves_by_month as (

        select
            source_id,
            partner_id,
            currency,
            month,
            sum(case when entry_type in ('earned', 'restated') then amount else 0 end) as earned,
            sum(
                case when entry_type in ('adjusted', 'approval_variance') then amount else 0 end
            ) as adjusted,
            sum(case when entry_type = 'transferred' then amount else 0 end) as transferred,
            - sum(case when entry_type = 'paid' then amount else 0 end) as paid,
            sum(case when entry_type = 'returned' then amount else 0 end) as returned,
            sum(amount) as net_move,
            sum(case when bucket = 'pending' then amount else 0 end) as pending_move,
            sum(case when bucket = 'payable' then amount else 0 end) as payable_move,
            sum(case when bucket = 'in_transit' then amount else 0 end) as in_transit_move,
            -- moves between buckets leave the balance as it is, in whatever month
            sum(
                case
                    when is_prior_period and entry_type not in ('approved', 'reserved', 'released')
                    then amount
                    else 0
                end
            ) as prior_period_amount
        from ledger
        group by 1, 2, 3, 4

    ),

    all_months {{ recursive_columns(["month", "last_month"]) }} as (

        select min(month) as month, max(month) as last_month
        from ledger
        having count(*) > 0
        union all
        select cast({{ dbt.dateadd("month", 1, "month") }} as date) as month, last_month
        from all_months
        where month < last_month

    ),

    first_months as (

        select source_id, partner_id, currency, min(month) as first_month
        from moves_by_month
        group by 1, 2, 3

    ),

    dense_months as (

        select
            first_months.source_id, first_months.partner_id, first_months.currency, all_months.month
        from first_months
        inner join all_months on all_months.month >= first_months.first_month

    ),

    dense_moves as (

        select
            dense_months.source_id,
            dense_months.partner_id,
            dense_months.currency,
            dense_months.month,
            coalesce(moves_by_month.earned, 0) as earned,
            coalesce(moves_by_month.adjusted, 0) as adjusted,
            coalesce(moves_by_month.transferred, 0) as transferred,
            coalesce(moves_by_month.paid, 0) as paid,
            coalesce(moves_by_month.returned, 0) as returned,
            coalesce(moves_by_month.net_move, 0) as net_move,
            coalesce(moves_by_month.pending_move, 0) as pending_move,
            coalesce(moves_by_month.payable_move, 0) as payable_move,
            coalesce(moves_by_month.in_transit_move, 0) as in_transit_move,
            coalesce(moves_by_month.prior_period_amount, 0) as prior_period_amount
        from dense_months
        left join
            moves_by_month
            on dense_months.source_id = moves_by_month.source_id
            and dense_months.partner_id = moves_by_month.partner_id
            and dense_months.currency = moves_by_month.currency
            and dense_months.month = moves_by_month.month

    ),

    balances as (

        select
            *,
            sum(net_move) over ({{ so_far }}) as closing_balance,
            sum(pending_move) over ({{ so_far }}) as pending_balance,
            sum(payable_move) over ({{ so_far }}) as payable_balance,
            sum(in_transit_move) over ({{ so_far }}) as in_transit_balance
        from dense_moves

    ),

    commission_statement_monthly as (

        select
            -- ids
            source_id,
            partner_id,

            -- strings
            currency,

            -- numerics
            {% set amounts = [
                ("opening_balance", "closing_balance - net_move"),
                ("earned", "earned"),
                ("adjusted", "adjusted"),
                ("transferred", "transferred"),
                ("paid", "paid"),
                ("returned", "returned"),
                ("closing_balance", "closing_balance"),
                ("pending_balance", "pending_balance"),
                ("payable_balance", "payable_balance"),
                ("in_transit_balance", "in_transit_balance"),
                ("prior_period_amount", "prior_period_amount"),
            ] -%}
            {%- for name, amount in amounts %} {{ money(amount) }} as {{ name }}, {%- endfor %}
            {%- for name, amount in amounts %}
                {{ in_reporting_currency(amount, "currency") }}
                as {{ name | replace("_balance", "") | replace("_amount", "") }}_rc,
            {%- endfor %}
            -- a balance in the reporting currency itself is never worth more or less
            {{ in_reporting_currency("0", "currency") }} as fx_revaluation_rc,

            -- dates
            month
        from balances

    )

select *
from commission_statement_monthly
