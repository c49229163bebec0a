{{ config(materialized="table") }}

{% set so_far -%}
    partition by source_id, partner_id, currency
    order by month
    rows between unbounded preceding and current row
{%- endset %}

{# What changes a balance, by the columns of the statement. Moves between buckets leave it as it is, in whatever month. #}
{% set flows = {
    "earned": "entry_type in ('earned', 'restated')",
    "adjusted": "entry_type in ('adjusted', 'approval_variance')",
    "transferred": "entry_type = 'transferred'",
    "paid": "entry_type = 'paid'",
    "returned": "entry_type = 'returned'",
    "prior_period": "is_prior_period and entry_type not in ('approved', 'reserved', 'released')",
} %}
{% set buckets = ["pending", "payable", "in_transit"] %}

with recursive

    ledger as (

        select *, {{ month_of("booking_date") }} as month from {{ ref("commission_ledger") }}

    ),

    fx_rates as (select *, {{ month_of("valid_on") }} as month from {{ ref("stg_raw__fx_rates") }}),

    -- the many columns are made of few rows
    entries_by_month as (

        select
            source_id,
            partner_id,
            currency,
            month,
            entry_type,
            bucket,
            is_prior_period,
            sum(amount) as amount,
            sum(amount_rc) as amount_rc,
            count(*) as entries,
            count(*) - count(amount_rc) as entries_without_rate
        from ledger
        group by 1, 2, 3, 4, 5, 6, 7

    ),

    moves_by_month as (

        select
            source_id,
            partner_id,
            currency,
            month,
            {%- for flow, condition in flows.items() %}
                sum(case when {{ condition }} then amount else 0 end) as {{ flow }},
                sum(case when {{ condition }} then amount_rc end) as {{ flow }}_rc,
                sum(case when {{ condition }} then entries else 0 end) as {{ flow }}_count,
                sum(
                    case when {{ condition }} then entries_without_rate else 0 end
                ) as {{ flow }}_without_rate,
            {%- endfor %}
            {%- for bucket in buckets %}
                sum(case when bucket = '{{ bucket }}' then amount else 0 end) as {{ bucket }}_move,
            {%- endfor %}
            sum(amount) as net_move
        from entries_by_month
        group by 1, 2, 3, 4

    ),

    all_months {{ recursive_columns(["month", "last_month", "last_day"]) }} as (

        select min(month) as month, max(month) as last_month, max(booking_date) as last_day
        from ledger
        having count(*) > 0
        union all
        select cast({{ dbt.dateadd("month", 1, "month") }} as date) as month, last_month, last_day
        from all_months
        where month < last_month

    ),

    -- the month that is still running has no end to take a rate from: it takes the newest that
    -- serves for the newest day of the ledger, or for any day after it
    rates_by_newness as (

        select
            all_months.month,
            fx_rates.currency,
            fx_rates.fx_rate,
            row_number() over (
                partition by all_months.month, fx_rates.currency order by fx_rates.valid_on desc
            ) as newness
        from all_months
        inner join
            fx_rates
            on all_months.month = fx_rates.month
            and fx_rates.valid_on >= case
                when all_months.month = all_months.last_month
                then all_months.last_day
                else cast({{ dbt.last_day("all_months.month", "month") }} as date)
            end

    ),

    rates_of_months as (select * from rates_by_newness where newness = 1),

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
            rates_of_months.fx_rate,
            {%- for flow in flows %}
                coalesce(moves_by_month.{{ flow }}, 0) as {{ flow }},
                -- where nothing moved there is nothing to convert, but still no amount in a
                -- currency whose rate is not known
                case
                    when moves_by_month.{{ flow }}_without_rate > 0
                    then null
                    when moves_by_month.{{ flow }}_count > 0
                    then moves_by_month.{{ flow }}_rc
                    else
                        {{
                            in_reporting_currency(
                                "0", "dense_months.currency", "rates_of_months.fx_rate"
                            )
                        }}
                end as {{ flow }}_rc,
            {%- endfor %}
            {%- for bucket in buckets %}
                coalesce(moves_by_month.{{ bucket }}_move, 0) as {{ bucket }}_move,
            {%- endfor %}
            coalesce(moves_by_month.net_move, 0) as net_move
        from dense_months
        left join
            moves_by_month
            on dense_months.source_id = moves_by_month.source_id
            and dense_months.partner_id = moves_by_month.partner_id
            and dense_months.currency = moves_by_month.currency
            and dense_months.month = moves_by_month.month
        left join
            rates_of_months
            on dense_months.currency = rates_of_months.currency
            and dense_months.month = rates_of_months.month

    ),

    balances as (

        select
            *,
            sum(net_move) over ({{ so_far }}) as closing_balance,
            {%- for bucket in buckets %}
                sum({{ bucket }}_move) over ({{ so_far }}) as {{ bucket }}_balance
                {{- "," if not loop.last }}
            {%- endfor %}
        from dense_moves

    ),

    converted_balances as (

        select
            *,
            {%- for bucket in buckets %}
                {{ in_reporting_currency(bucket ~ "_balance", "currency", "fx_rate") }}
                as {{ bucket }}_rc,
            {%- endfor %}
            {{ in_reporting_currency("0", "currency", "fx_rate") }} as zero_rc
        from balances

    ),

    -- the sum of the three, each rounded for itself, so that they make it up to the last place
    closed_balances as (

        select *, pending_rc + payable_rc + in_transit_rc as closing_rc from converted_balances

    ),

    chained_balances as (

        select
            closed_balances.*,
            case
                when closed_balances.month = first_months.first_month
                then closed_balances.zero_rc
                else
                    lag(closed_balances.closing_rc) over (
                        partition by
                            closed_balances.source_id,
                            closed_balances.partner_id,
                            closed_balances.currency
                        order by closed_balances.month
                    )
            end as opening_rc
        from closed_balances
        inner join
            first_months
            on closed_balances.source_id = first_months.source_id
            and closed_balances.partner_id = first_months.partner_id
            and closed_balances.currency = first_months.currency

    ),

    commission_statement_monthly as (

        select
            -- ids
            source_id,
            partner_id,

            -- strings
            currency,

            -- numerics
            {{ money("closing_balance - net_move") }} as opening_balance,
            {{ money("earned") }} as earned,
            {{ money("adjusted") }} as adjusted,
            {{ money("transferred") }} as transferred,
            {{ money("- paid") }} as paid,
            {{ money("returned") }} as returned,
            {{ money("closing_balance") }} as closing_balance,
            {{ money("pending_balance") }} as pending_balance,
            {{ money("payable_balance") }} as payable_balance,
            {{ money("in_transit_balance") }} as in_transit_balance,
            {{ money("prior_period") }} as prior_period_amount,
            {{ money("opening_rc") }} as opening_rc,
            {{ money("earned_rc") }} as earned_rc,
            {{ money("adjusted_rc") }} as adjusted_rc,
            {{ money("transferred_rc") }} as transferred_rc,
            {{ money("- paid_rc") }} as paid_rc,
            {{ money("returned_rc") }} as returned_rc,
            {{ money("closing_rc") }} as closing_rc,
            {{ money("pending_rc") }} as pending_rc,
            {{ money("payable_rc") }} as payable_rc,
            {{ money("in_transit_rc") }} as in_transit_rc,
            {{ money("prior_period_rc") }} as prior_period_rc,
            {{
                money(
                    "closing_rc - opening_rc - earned_rc - adjusted_rc - transferred_rc - paid_rc - returned_rc"
                )
            }}
            as fx_revaluation_rc,

            -- dates
            month
        from chained_balances

    )

select *
from commission_statement_monthly
