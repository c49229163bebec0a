{{ config(materialized="table") }}

{% set grain = "source_id, payout_date, method, provider, currency" %}

with

    payouts as (

        select
            source_id,
            payout_id,
            {{ reporting_date("first_event_at") }} as payout_date,
            coalesce(method, 'unknown') as method,
            coalesce(provider, 'unknown') as provider,
            currency,
            amount,
            case
                when status = 'completed'
                then 'completed'
                when status != 'failed'
                then 'open'
                when is_returned
                then 'returned'
                else 'failed'
            end as outcome,
            retry_of_payout_id is null and coalesce(attempt, 1) = 1 as is_first_attempt,
            failed_at is not null as has_failed,
            {{ seconds_between("scheduled_at", "completed_at") }} as seconds_to_pay,
            -- what the provider charged once it paid, else what the platform said it would cost
            case
                when completed_at is not null then coalesce(provider_fee_amount, fee_amount)
            end as fee_amount,
            case
                when provider_fee_amount is null then fee_currency else provider_fee_currency
            end as fee_currency
        from {{ ref("payouts") }}

    ),

    fx_rates as (select * from {{ ref("stg_raw__fx_rates") }}),

    converted_payouts as (

        select
            payouts.*,
            {{ in_reporting_currency("payouts.amount", "payouts.currency", "rates.fx_rate") }}
            as amount_rc,
            {{
                in_reporting_currency(
                    "payouts.fee_amount", "payouts.fee_currency", "fee_rates.fx_rate"
                )
            }} as fee_rc
        from payouts
        left join
            fx_rates as rates
            on payouts.currency = rates.currency
            and payouts.payout_date = rates.valid_on
        left join
            fx_rates as fee_rates
            on payouts.fee_currency = fee_rates.currency
            and payouts.payout_date = fee_rates.valid_on

    ),

    paid_payouts as (

        select
            {{ grain }},
            seconds_to_pay,
            row_number() over (
                partition by {{ grain }} order by seconds_to_pay, {{ by_code_point("payout_id") }}
            ) as place,
            count(*) over (partition by {{ grain }}) as place_count
        from converted_payouts
        where outcome = 'completed' and seconds_to_pay is not null

    ),

    -- the least time in which at least so many of a hundred were paid, which is one of the times
    -- and the same on every engine
    times_to_pay as (

        select
            {{ grain }},
            min(
                case when place * 100 >= place_count * 50 then seconds_to_pay end
            ) as seconds_to_pay_p50,
            min(
                case when place * 100 >= place_count * 90 then seconds_to_pay end
            ) as seconds_to_pay_p90
        from paid_payouts
        group by {{ grain }}

    ),

    sums as (

        select
            {{ grain }},
            count(*) as payouts,
            sum(amount) as amount,
            {%- for outcome in ["open", "completed", "failed", "returned"] %}
                sum(case when outcome = '{{ outcome }}' then 1 else 0 end) as {{ outcome }}_payouts,
                sum(
                    case when outcome = '{{ outcome }}' then amount else 0 end
                ) as {{ outcome }}_amount,
            {%- endfor %}
            sum(case when outcome != 'open' then 1 else 0 end) as ended_payouts,
            sum(case when outcome != 'open' then amount else 0 end) as ended_amount,
            sum(
                case when is_first_attempt and outcome != 'open' then 1 else 0 end
            ) as first_attempts,
            sum(
                case
                    when is_first_attempt and outcome = 'completed' and not has_failed then 1 else 0
                end
            ) as first_attempts_completed,
            sum(
                case when outcome = 'completed' and amount_rc is null then 1 else 0 end
            ) as payouts_without_rate,
            sum(case when outcome = 'completed' then amount_rc else 0 end) as completed_amount_rc,
            sum(
                case when fee_amount is not null and fee_currency != currency then 1 else 0 end
            ) as fees_in_other_currency,
            sum(coalesce(fee_amount, 0)) as fee_amount,
            sum(
                case when fee_amount is not null and fee_rc is null then 1 else 0 end
            ) as fees_without_rate,
            sum(coalesce(fee_rc, 0)) as fee_rc
        from converted_payouts
        group by {{ grain }}

    ),

    payout_performance_daily as (

        select
            -- ids
            sums.source_id,

            -- strings
            sums.method,
            sums.provider,
            sums.currency,

            -- numerics
            {%- for column in [
                "payouts",
                "open_payouts",
                "completed_payouts",
                "failed_payouts",
                "returned_payouts",
                "first_attempts",
                "first_attempts_completed",
            ] %}
                cast(sums.{{ column }} as bigint) as {{ column }},
            {%- endfor %}
            {%- for column in [
                "amount",
                "open_amount",
                "completed_amount",
                "failed_amount",
                "returned_amount",
            ] %}
                {{ money("sums." ~ column) }} as {{ column }},
            {%- endfor %}
            case
                when sums.payouts_without_rate = 0 then {{ money("sums.completed_amount_rc") }}
            end as completed_amount_rc,
            case
                when sums.fees_in_other_currency = 0 then {{ money("sums.fee_amount") }}
            end as fee_amount,
            case when sums.fees_without_rate = 0 then {{ money("sums.fee_rc") }} end as fee_rc,
            {{ ratio("sums.completed_payouts", "sums.ended_payouts") }} as success_rate,
            {{ ratio("sums.completed_amount", "sums.ended_amount") }} as amount_success_rate,
            {{ ratio("sums.first_attempts_completed", "sums.first_attempts") }}
            as first_attempt_success_rate,
            times_to_pay.seconds_to_pay_p50,
            times_to_pay.seconds_to_pay_p90,

            -- dates
            sums.payout_date
        from sums
        left join
            times_to_pay
            on sums.source_id = times_to_pay.source_id
            and sums.payout_date = times_to_pay.payout_date
            and sums.method = times_to_pay.method
            and sums.provider = times_to_pay.provider
            and sums.currency = times_to_pay.currency

    )

select *
from payout_performance_daily
