with

    economics as (select * from {{ ref("partner_economics") }}),

    statement as (select * from {{ ref("commission_statement_monthly") }}),

    cohorts as (select * from {{ ref("customer_cohorts_monthly") }}),

    revshare as (select * from {{ ref("revshare_monthly") }}),

    earned_by_partner as (

        select
            source_id,
            partner_id,
            month,
            sum(earned_rc + adjusted_rc + transferred_rc) as earned_rc,
            count(*) - count(earned_rc + adjusted_rc + transferred_rc) as without_rate
        from statement
        group by 1, 2, 3

    ),

    overrides_by_month as (

        select
            source_id,
            month,
            sum(override_rc) as override_rc,
            sum(override_earned_rc) as override_earned_rc,
            count(*) - count(override_rc) + count(*) - count(override_earned_rc) as without_rate
        from economics
        group by 1, 2

    ),

    differences as (

        select 'cost or margin' as rule, source_id, partner_id, month
        from economics
        where
            {{
                distinct_from(
                    "cost_rc",
                    "commission_rc + override_rc + adjustment_rc + payout_fees_rc + marketing_spend_rc",
                )
            }}
            or {{ distinct_from("margin_rc", "player_revenue_rc - cost_rc") }}
            or (player_revenue_rc is not null and not has_player_activity)
            or (marketing_spend_rc is not null and not has_marketing_spend)
        union all
        select 'statement' as rule, economics.source_id, economics.partner_id, economics.month
        from economics
        inner join
            earned_by_partner
            on economics.source_id = earned_by_partner.source_id
            and economics.partner_id = earned_by_partner.partner_id
            and economics.month = earned_by_partner.month
        where
            earned_by_partner.without_rate = 0
            and earned_by_partner.earned_rc
            != economics.commission_rc + economics.adjustment_rc + economics.override_earned_rc
        union all
        select 'overrides' as rule, source_id, cast(null as {{ dbt.type_string() }}), month
        from overrides_by_month
        where without_rate = 0 and override_rc != override_earned_rc
        union all
        select 'cohort' as rule, source_id, partner_id, month
        from cohorts
        where
            {{ distinct_from("margin_rc", "ngr_rc - cost_rc") }}
            or {{ distinct_from("cost_rc", "commission_rc + marketing_spend_rc") }}
            or (age_months = 0 and {{ distinct_from("cumulative_margin_rc", "margin_rc") }})
        union all
        select 'revshare' as rule, source_id, partner_id, period_month as month
        from revshare
        where
            {{ distinct_from("variance_rc", "booked_rc - expected_rc") }}
            or {{ distinct_from("ngr_rc", money(net_gaming_revenue("", "_rc"))) }}

    )

select *
from differences
