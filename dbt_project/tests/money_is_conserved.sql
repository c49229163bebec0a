{{ config(tags=["gate"]) }}

with

    ledger as (select * from {{ ref("commission_ledger") }}),

    commissions as (select * from {{ ref("commissions") }}),

    last_statements as (

        select statement.*
        from {{ ref("commission_statement_monthly") }} as statement
        where
            statement.month
            = (select max(month) from {{ ref("commission_statement_monthly") }} as months)

    ),

    incomplete_entries as (

        select
            'entry without partner, currency or amount' as broken_rule,
            source_id,
            ledger_entry_id as broken_id,
            currency
        from ledger
        where
            (partner_id is null or currency is null or amount is null)
            and {{ is_at_stake("commission_ledger", "ledger") }}

    ),

    bucket_totals as (

        select source_id, partner_id, currency, bucket, sum(amount) as amount
        from ledger
        group by 1, 2, 3, 4

    ),

    ledger_totals as (

        select
            source_id,
            partner_id,
            currency,
            sum(amount) as balance,
            sum(case when bucket = 'pending' then amount else 0 end) as pending,
            sum(case when bucket = 'payable' then amount else 0 end) as payable,
            sum(case when bucket = 'in_transit' then amount else 0 end) as in_transit
        from bucket_totals
        group by 1, 2, 3

    ),

    unequal_balances as (

        select
            'ledger and last statement differ' as broken_rule,
            coalesce(ledger_totals.source_id, last_statements.source_id) as source_id,
            coalesce(ledger_totals.partner_id, last_statements.partner_id) as broken_id,
            coalesce(ledger_totals.currency, last_statements.currency) as currency
        from ledger_totals
        full outer join
            last_statements
            on ledger_totals.source_id = last_statements.source_id
            and ledger_totals.partner_id = last_statements.partner_id
            and ledger_totals.currency = last_statements.currency
        where
            {{ distinct_from("ledger_totals.balance", "last_statements.closing_balance") }}
            or {{ distinct_from("ledger_totals.pending", "last_statements.pending_balance") }}
            or {{ distinct_from("ledger_totals.payable", "last_statements.payable_balance") }}
            or {{ distinct_from("ledger_totals.in_transit", "last_statements.in_transit_balance") }}

    ),

    commission_totals as (

        select source_id, commission_id, max(currency) as currency, sum(amount) as net_amount
        from ledger
        where
            entry_type in {{ commission_entry_types() }}
            and commission_id is not null
            and {{ is_at_stake("commission_ledger", "ledger") }}
        group by 1, 2
        having count(distinct currency) = 1

    ),

    -- a commission without one currency has no amount, and its entries are in none or in several
    unequal_commissions as (

        select
            'ledger and commission differ' as broken_rule,
            commissions.source_id,
            commissions.commission_id as broken_id,
            commissions.currency
        from commissions
        left join
            commission_totals
            on commissions.source_id = commission_totals.source_id
            and commissions.commission_id = commission_totals.commission_id
        where
            {{ is_at_stake("commissions", "commissions") }}
            and (
                {{ distinct_from("commissions.net_amount", "commission_totals.net_amount") }}
                or {{ distinct_from("commissions.currency", "commission_totals.currency") }}
                or commissions.calculated_amount + commissions.adjusted_amount
                != commissions.net_amount
            )

    ),

    aged_totals as (

        select source_id, partner_id, currency, bucket, sum(amount) as amount
        from {{ ref("commission_liability_aging") }}
        group by 1, 2, 3, 4

    ),

    unequal_ages as (

        select
            'ledger and ages differ' as broken_rule,
            coalesce(bucket_totals.source_id, aged_totals.source_id) as source_id,
            coalesce(bucket_totals.partner_id, aged_totals.partner_id) as broken_id,
            coalesce(bucket_totals.currency, aged_totals.currency) as currency
        from bucket_totals
        full outer join
            aged_totals
            on bucket_totals.source_id = aged_totals.source_id
            and bucket_totals.partner_id = aged_totals.partner_id
            and bucket_totals.currency = aged_totals.currency
            and bucket_totals.bucket = aged_totals.bucket
        where coalesce(bucket_totals.amount, 0) != coalesce(aged_totals.amount, 0)

    ),

    statement_totals as (

        select source_id, currency, month, sum(closing_balance) as balance
        from {{ ref("commission_statement_monthly") }}
        group by 1, 2, 3

    ),

    unequal_liabilities as (

        select
            'statement and liabilities differ' as broken_rule,
            statement_totals.source_id,
            cast(statement_totals.month as {{ dbt.type_string() }}) as broken_id,
            statement_totals.currency
        from statement_totals
        left join
            {{ ref("commission_liabilities_monthly") }} as liabilities
            on statement_totals.source_id = liabilities.source_id
            and statement_totals.currency = liabilities.currency
            and statement_totals.month = liabilities.month
        where
            {{ distinct_from("statement_totals.balance", "liabilities.balance_amount") }}
            or liabilities.pending_amount
            - liabilities.pending_negative_amount
            + liabilities.payable_amount
            - liabilities.receivable_amount
            + liabilities.in_transit_amount
            != liabilities.balance_amount
            or liabilities.pending_rc
            - liabilities.pending_negative_rc
            + liabilities.payable_rc
            - liabilities.receivable_rc
            + liabilities.in_transit_rc
            != liabilities.balance_rc

    ),

    broken_rules as (

        select *
        from incomplete_entries
        union all
        select *
        from unequal_balances
        union all
        select *
        from unequal_commissions
        union all
        select *
        from unequal_ages
        union all
        select *
        from unequal_liabilities

    )

select *
from broken_rules
