{{ config(materialized="table") }}

{% set signals = fraud_signals() %}

with

    partners as (select * from {{ ref("partners") }}),

    signals as (

        select *, max(event_date) over (partition by source_id, partner_id) as newest_date
        from {{ ref("fraud_signals_daily") }}

    ),

    breaches_of_the_month as (

        select
            source_id,
            partner_id,
            signal,
            max(newest_date) as as_of_date,
            sum(case when is_breach then 1 else 0 end) as breach_days
        from signals
        where event_date > {{ days_after("newest_date", -30) }}
        group by source_id, partner_id, signal

    ),

    breaches as (

        select
            source_id,
            partner_id,
            max(as_of_date) as as_of_date,
            sum(case when breach_days > 0 then 1 else 0 end) as breached_signal_count,
            sum(breach_days) as breach_count,
            sum(
                case
                    {%- for name, signal in signals.items() %}
                        when breach_days > 0 and signal = '{{ name }}' then {{ signal.weight }}
                    {%- endfor %}
                    else 0
                end
            ) as weight,
            {% for name in signals | sort -%}
                max(
                    case
                        when breach_days > 0 and signal = '{{ name }}' then ', {{ name }}' else ''
                    end
                ) {{ "||" if not loop.last }}
            {%- endfor %} as breached_signals
        from breaches_of_the_month
        group by source_id, partner_id

    ),

    statement as (select * from {{ ref("commission_statement_monthly") }}),

    exposures as (

        select
            source_id,
            partner_id,
            case
                when count(pending_rc + payable_rc) = count(*) then sum(pending_rc + payable_rc)
            end as exposure_rc,
            count(pending_rc + payable_rc) < count(*) as is_rate_missing
        from statement
        where month = (select max(months.month) from statement as months)
        group by source_id, partner_id

    ),

    fraud_scorecard as (

        select
            -- ids
            partners.source_id,
            partners.partner_id,

            -- strings
            partners.status,
            nullif(substring(breaches.breached_signals, 3), '') as breached_signals,
            '{{ var("reporting_currency") }}' as reporting_currency,

            -- numerics
            cast(
                case
                    when breaches.weight > 100 then 100 else coalesce(breaches.weight, 0)
                end as bigint
            ) as score,
            cast(coalesce(breaches.breached_signal_count, 0) as bigint) as breached_signal_count,
            cast(coalesce(breaches.breach_count, 0) as bigint) as breach_count,
            case
                when exposures.source_id is null
                then {{ money("0") }}
                else {{ money("exposures.exposure_rc") }}
            end as exposure_rc,

            -- booleans
            coalesce(exposures.is_rate_missing, false) as is_rate_missing,

            -- dates
            breaches.as_of_date
        from partners
        left join
            breaches
            on partners.source_id = breaches.source_id
            and partners.partner_id = breaches.partner_id
        left join
            exposures
            on partners.source_id = exposures.source_id
            and partners.partner_id = exposures.partner_id

    )

select *
from fraud_scorecard
