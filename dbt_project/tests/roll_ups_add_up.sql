with

    -- what is counted, in the rows of one mart and in the roll-up of another
    counted as (

        {% for what, rows, counts, roll_up, sums in [
            ("clicks", "clicks", "1", "conversion_funnel_daily", "gross_clicks"),
            (
                "clicks by placement",
                "clicks",
                "1",
                "traffic_source_daily",
                "gross_clicks",
            ),
            (
                "clicks by partner",
                "clicks",
                "1",
                "partner_performance_daily",
                "gross_clicks",
            ),
            (
                "conversions",
                "conversions",
                "case when duplicate_of_conversion_id is null then 1 else 0 end",
                "conversion_funnel_daily",
                "qualified + rejected + pending",
            ),
            (
                "duplicates",
                "conversions",
                "case when duplicate_of_conversion_id is null then 0 else 1 end",
                "conversion_funnel_daily",
                "duplicate_conversions",
            ),
            (
                "conversions by placement",
                "conversion_funnel_daily",
                "conversions",
                "traffic_source_daily",
                "conversions",
            ),
            (
                "conversions by partner",
                "conversion_funnel_daily",
                "conversions",
                "partner_performance_daily",
                "conversions",
            ),
            ("rejections", "fraud_rejections", "1", "rejections_daily", "rejections"),
            (
                "rejected by reason",
                "conversion_funnel_daily",
                "rejected",
                "rejections_daily",
                "cohort_rejected",
            ),
        ] %}
            select '{{ what }}' as what, sum({{ counts }}) as in_rows, 0 as in_roll_up
            from {{ ref(rows) }}
            union all
            select '{{ what }}' as what, 0 as in_rows, sum({{ sums }}) as in_roll_up
            from {{ ref(roll_up) }} {{ "union all" if not loop.last }}
        {% endfor %}

    ),

    -- of every partner and currency: what the days bring to its balance is what the ledger says
    moved as (

        select source_id, partner_id, currency, amount as in_rows, 0 as in_roll_up
        from {{ ref("commission_ledger") }}
        where entry_type not in ('approved', 'reserved', 'released')
        union all
        select
            source_id,
            partner_id,
            currency,
            0 as in_rows,
            earned + adjusted + transferred - paid + returned as in_roll_up
        from {{ ref("partner_performance_daily") }}

    ),

    roll_ups_that_differ as (

        select what
        from counted
        group by what
        having sum(coalesce(in_rows, 0)) != sum(coalesce(in_roll_up, 0))
        union all
        select source_id || ' ' || partner_id || ' ' || currency as what
        from moved
        group by source_id, partner_id, currency
        having sum(in_rows) != sum(in_roll_up)

    )

select *
from roll_ups_that_differ
