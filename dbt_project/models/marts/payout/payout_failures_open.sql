{{ config(materialized="table") }}

{# Ends a circle of retries, which only a mistake of the sender's can make. #}
{% set most_retries = 100 %}
{% set columns = ["source_id", "payout_id", "retry_id", "depth"] %}

with recursive

    all_payouts as (select * from {{ ref("payouts") }}),

    retries {{ recursive_columns(columns) }} as (

        select source_id, retry_of_payout_id as payout_id, payout_id as retry_id, 1 as depth
        from all_payouts as payouts
        where retry_of_payout_id is not null
        union all
        select
            retries.source_id,
            payouts.retry_of_payout_id as payout_id,
            retries.retry_id,
            retries.depth + 1 as depth
        from retries
        inner join
            all_payouts as payouts
            on retries.source_id = payouts.source_id
            and retries.payout_id = payouts.payout_id
        where payouts.retry_of_payout_id is not null and retries.depth < {{ most_retries }}

    ),

    retries_by_payout as (

        select
            retries.source_id,
            retries.payout_id,
            count(distinct retries.retry_id) as retries,
            max(
                case when payouts.status in ('scheduled', 'processing') then 1 else 0 end
            ) as has_open_retry,
            max(case when payouts.status = 'completed' then payouts.completed_at end) as retried_at
        from retries
        inner join
            all_payouts as payouts
            on retries.source_id = payouts.source_id
            and retries.retry_id = payouts.payout_id
        where retries.retry_id != retries.payout_id
        group by 1, 2

    ),

    fx_rates as (select * from {{ ref("stg_raw__fx_rates") }}),

    newest_day as (select {{ newest_event_date() }} as as_of_date),

    payout_failures_open as (

        select
            -- ids
            payouts.source_id,
            payouts.payout_id,
            payouts.partner_id,
            payouts.retry_of_payout_id,

            -- strings
            payouts.method,
            payouts.provider,
            payouts.currency,
            payouts.debit_currency,
            payouts.failure_category,
            payouts.failure_code,

            -- numerics
            payouts.amount,
            payouts.debit_amount,
            {{
                in_reporting_currency(
                    "payouts.debit_amount", "payouts.debit_currency", "fx_rates.fx_rate"
                )
            }} as debit_rc,
            payouts.attempt,
            cast(coalesce(retries_by_payout.retries, 0) as bigint) as retries,
            cast(
                {{ days_between(reporting_date("payouts.failed_at"), "newest_day.as_of_date") }}
                as bigint
            ) as days_open,

            -- booleans
            payouts.is_returned,
            payouts.is_retryable,
            coalesce(retries_by_payout.has_open_retry, 0) = 1 as has_open_retry,
            coalesce(retries_by_payout.retries, 0) = 0 as is_last_attempt,

            -- dates
            {{ reporting_date("payouts.failed_at") }} as failed_date,
            newest_day.as_of_date,

            -- timestamps
            payouts.failed_at
        from all_payouts as payouts
        cross join newest_day
        left join
            retries_by_payout
            on payouts.source_id = retries_by_payout.source_id
            and payouts.payout_id = retries_by_payout.payout_id
        left join
            fx_rates
            on payouts.debit_currency = fx_rates.currency
            and newest_day.as_of_date = fx_rates.valid_on
        where
            payouts.status = 'failed'
            and (
                retries_by_payout.retried_at is null
                or retries_by_payout.retried_at < payouts.failed_at
            )

    )

select *
from payout_failures_open
