{{ config(materialized="table") }}

{% set account = "source_id, partner_id, currency, bucket" %}
{% set oldest_first -%}
    partition by {{ account }}, is_owed
    order by open_since, {{ by_code_point("ledger_subject_id") }}
    rows between unbounded preceding and current row
{%- endset %}

with

    fx_rates as (select * from {{ ref("stg_raw__fx_rates") }}),

    dated_items as (

        select
            *,
            amount > 0 as is_owed,
            case when amount > 0 then first_gain_date else first_loss_date end as open_since,
            sum(amount) over (partition by {{ account }}) as balance
        from {{ ref("int_ledger_items") }}

    ),

    -- what stands against the balance used up the oldest of it
    items_in_order as (

        select
            *,
            sum(amount) over ({{ oldest_first }}) as amount_so_far,
            sum(amount) over (partition by {{ account }}, is_owed) as amount_of_all
        from dated_items
        where balance != 0 and (balance > 0) = is_owed

    ),

    -- the newest items make up the balance; the oldest of these may be open in part
    open_items as (

        select
            *,
            case
                when is_owed
                then least(amount, amount_so_far - (amount_of_all - balance))
                else greatest(amount, amount_so_far - (amount_of_all - balance))
            end as open_amount
        from items_in_order
        where
            (is_owed and amount_so_far > amount_of_all - balance)
            or (not is_owed and amount_so_far < amount_of_all - balance)

    ),

    newest_day as (select {{ newest_event_date() }} as as_of_date),

    aged_items as (

        select
            open_items.*,
            newest_day.as_of_date,
            {{ days_between("open_items.open_since", "newest_day.as_of_date") }} as age_days
        from open_items
        cross join newest_day

    ),

    banded_items as (

        select
            *,
            case
                when age_days <= 7
                then '0-7'
                when age_days <= 30
                then '8-30'
                when age_days <= 60
                then '31-60'
                when age_days <= 90
                then '61-90'
                else '90+'
            end as age_band
        from aged_items

    ),

    commission_liability_aging as (

        select
            -- ids
            banded_items.source_id,
            banded_items.partner_id,

            -- strings
            banded_items.currency,
            banded_items.bucket,
            banded_items.age_band,

            -- numerics
            {{ money("sum(banded_items.open_amount)") }} as amount,
            {{
                in_reporting_currency(
                    "sum(banded_items.open_amount)",
                    "banded_items.currency",
                    "max(fx_rates.fx_rate)",
                )
            }} as amount_rc,
            cast(count(*) as bigint) as items,

            -- dates
            min(banded_items.open_since) as oldest_date,
            banded_items.as_of_date
        from banded_items
        left join
            fx_rates
            on banded_items.currency = fx_rates.currency
            and banded_items.as_of_date = fx_rates.valid_on
        group by
            banded_items.source_id,
            banded_items.partner_id,
            banded_items.currency,
            banded_items.bucket,
            banded_items.age_band,
            banded_items.as_of_date

    )

select *
from commission_liability_aging
