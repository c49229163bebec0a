{# A table: a handful of rows for each month. #}
{{ config(materialized="table") }}

{% set metrics = {
    "unique_clicks": "unique_clicks",
    "conversions": "conversions",
    "first_deposits": "first_deposits",
    "player_revenue": "player_revenue_rc",
    "net_commission": "commission_rc + override_earned_rc + adjustment_rc",
} %}

with

    economics as (select * from {{ ref("partner_economics") }}),

    amounts as (

        {% for metric, expression in metrics.items() -%}
            select
                source_id,
                partner_id,
                month,
                '{{ metric }}' as metric,
                cast({{ expression }} as decimal(28, 8)) as amount
            from economics {{ "union all" if not loop.last }}
        {% endfor %}

    ),

    totals as (

        select
            source_id,
            month,
            metric,
            count(*) = count(amount) as is_known,
            sum(case when amount > 0 then 1 else 0 end) as partners,
            sum(case when amount > 0 then amount else 0 end) as total
        from amounts
        group by 1, 2, 3

    ),

    shares as (

        select
            amounts.source_id,
            amounts.month,
            amounts.metric,
            amounts.amount,
            -- in nine decimals, whose sums and squares are the same in whatever order
            cast({{ ratio("amounts.amount", "totals.total") }} as decimal(18, 9)) as share,
            row_number() over (
                partition by amounts.source_id, amounts.month, amounts.metric
                order by amounts.amount desc
            ) as place
        from amounts
        inner join
            totals
            on amounts.source_id = totals.source_id
            and amounts.month = totals.month
            and amounts.metric = totals.metric
        where amounts.amount > 0 and totals.is_known

    ),

    sums as (

        select
            source_id,
            month,
            metric,
            {%- for top in [1, 5, 10] %}
                sum(case when place <= {{ top }} then amount else 0 end) as top_{{ top }},
            {%- endfor %}
            {{ rate("sum(share * share)") }} as sum_of_squares
        from shares
        group by 1, 2, 3

    ),

    program_concentration_monthly as (

        select
            -- ids
            totals.source_id,

            -- strings
            totals.metric,

            -- numerics
            cast(totals.partners as bigint) as partners,
            {%- for top in [1, 5, 10] %}
                {{ ratio("sums.top_" ~ top, "totals.total") }} as top_{{ top }}_share,
            {%- endfor %}
            cast(sums.sum_of_squares * 10000 as {{ type_double() }}) as hhi,

            -- dates
            totals.month
        from totals
        left join
            sums
            on totals.source_id = sums.source_id
            and totals.month = sums.month
            and totals.metric = sums.metric

    )

select *
from program_concentration_monthly
