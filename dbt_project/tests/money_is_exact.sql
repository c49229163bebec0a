-- what an engine calls its types is its own affair; on the others every amount goes through the
-- same cast
{{ config(enabled=target.type in ("duckdb", "postgres")) }}

-- depends_on: {{ ref("commission_statement_monthly") }}
-- depends_on: {{ ref("partner_economics") }}
-- depends_on: {{ ref("conversion_funnel_daily") }}
-- depends_on: {{ ref("partner_performance_daily") }}
-- depends_on: {{ ref("rejections_daily") }}
-- depends_on: {{ ref("fraud_scorecard") }}
with

    columns_of_marts as (

        select
            table_name as mart,
            column_name as money_column,
            lower(data_type) as data_type,
            numeric_precision,
            numeric_scale
        from information_schema.columns
        where table_catalog = '{{ target.database }}' and table_schema = 'marts'

    ),

    inexact_money as (

        select *
        from columns_of_marts
        where
            (
                (money_column like '%amount%' and money_column not like '%rate')
                or money_column like '%balance'
                or right(money_column, 3) = '_rc'
                or money_column in (
                    'earned',
                    'adjusted',
                    'transferred',
                    'approved',
                    'paid',
                    'returned',
                    'revenue',
                    'net_commission',
                    'cohort_commission'
                )
            )
            and (
                not (data_type like 'decimal%' or data_type = 'numeric')
                or numeric_precision is distinct from 28
                or numeric_scale is distinct from 8
            )

    )

select *
from inexact_money
