{{ config(materialized="table") }}

{# By partner, so that what one owes us never lessens what we owe another. #}
{% set amounts = {
    "pending": "case when pending > 0 then pending else 0 end",
    "pending_negative": "case when pending < 0 then - pending else 0 end",
    "payable": "case when payable > 0 then payable else 0 end",
    "receivable": "case when payable < 0 then - payable else 0 end",
    "in_transit": "in_transit",
} %}

with

    statement as (select * from {{ ref("commission_statement_monthly") }}),

    balances as (

        select
            *,
            pending_balance as pending,
            payable_balance as payable,
            in_transit_balance as in_transit
        from statement

    ),

    commission_liabilities_monthly as (

        select
            -- ids
            source_id,

            -- strings
            currency,

            -- numerics
            {%- for name, amount in amounts.items() %}
                {{ money("sum(" ~ amount ~ ")") }} as {{ name }}_amount,
            {%- endfor %}
            {{ money("sum(closing_balance)") }} as balance_amount,
            {%- for name, amount in amounts.items() %}
                case
                    when count(closing_rc) = count(*)
                    then
                        {{
                            money(
                                "sum(" ~ amount
                                | replace("pending", "pending_rc")
                                | replace("payable", "payable_rc")
                                | replace("in_transit", "in_transit_rc") ~ ")"
                            )
                        }}
                end as {{ name }}_rc,
            {%- endfor %}
            case
                when count(closing_rc) = count(*) then {{ money("sum(closing_rc)") }}
            end as balance_rc,
            cast(sum(case when payable > 0 then 1 else 0 end) as bigint) as partners_owed,
            cast(sum(case when payable < 0 then 1 else 0 end) as bigint) as partners_owing,

            -- dates
            month
        from balances
        group by source_id, currency, month

    )

select *
from commission_liabilities_monthly
