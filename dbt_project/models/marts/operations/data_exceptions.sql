{# A table: there are few exceptions, and those of partners, bodies in quarantine and rates are of all that there is. #}
{{ config(materialized="table") }}

{% set no_text = "cast(null as " ~ dbt.type_string() ~ ")" %}

with

    partners as (

        select
            partners.source_id,
            'partner:' || partners.partner_id as exception_subject_id,
            'partner' as entity_type,
            partners.partner_id as entity_id,
            partners.partner_id,
            partners.parent_partner_id,
            partners.root_partner_id,
            partners.partner_type,
            partners.is_inferred,
            snapshots.event_id,
            snapshots.occurred_at,
            {{ money("null") }} as event_amount,
            {{ no_text }} as event_currency
        from {{ ref("partners") }} as partners
        left join
            {{ ref("int_partner_snapshots") }} as snapshots
            on partners.source_id = snapshots.source_id
            and partners.partner_id = snapshots.partner_id

    ),

    quarantined_events as (

        select
            source_id,
            {{ no_text }} as exception_subject_id,
            'event' as entity_type,
            coalesce(max(event_id), 'sha256:' || body_sha256) as entity_id,
            {{ no_text }} as partner_id,
            max(event_id) as event_id,
            cast(null as timestamp) as occurred_at,
            {{ money("null") }} as event_amount,
            {{ no_text }} as event_currency,
            min(reason) as reason,
            max(case when replayed_at is null then 0 else 1 end) = 0 as is_waiting,
            body_sha256
        from {{ ref("stg_raw__quarantined_events") }}
        group by source_id, body_sha256

    ),

    fx_rates as (select * from {{ ref("stg_raw__fx_rates") }}),

    player_activity as (

        select *, {{ net_gaming_revenue() }} as ngr from {{ ref("stg_raw__player_activity") }}

    ),

    marketing_spend as (select * from {{ ref("stg_raw__marketing_spend") }}),

    -- moves between buckets leave the balance as it is
    amounts as (

        select source_id, '' as place, currency, effective_date as rate_date, amount
        from {{ ref("commission_ledger") }}
        where amount_rc is null and entry_type not in ('approved', 'reserved', 'released')
        union all
        select
            source_id,
            'commission_statement_monthly ' as place,
            currency,
            {{ last_day_of("month") }} as rate_date,
            closing_balance as amount
        from {{ ref("commission_statement_monthly") }}
        where closing_rc is null and closing_balance != 0
        {% for place, day, amount in [
                ("player_activity", "activity_date", "ngr"),
                ("marketing_spend", "spend_date", "amount"),
            ] %}
            union all
            select
                {{ place }}.source_id,
                '{{ place }} ' as place,
                {{ place }}.currency,
                {{ place }}.{{ day }} as rate_date,
                {{ place }}.{{ amount }} as amount
            from {{ place }}
            left join
                fx_rates
                on {{ place }}.currency = fx_rates.currency
                and {{ place }}.{{ day }} = fx_rates.valid_on
            where fx_rates.currency is null and {{ place }}.{{ amount }} is not null
        {% endfor %}

    ),

    amounts_without_a_rate as (

        select
            source_id,
            {{ no_text }} as exception_subject_id,
            'currency' as entity_type,
            place || currency || ' ' || cast(rate_date as {{ dbt.type_string() }}) as entity_id,
            {{ no_text }} as partner_id,
            {{ no_text }} as event_id,
            cast(null as timestamp) as occurred_at,
            sum(abs(amount)) as event_amount,
            currency as event_currency,
            rate_date
        from amounts
        where currency != '{{ var("reporting_currency") }}'
        group by source_id, place, currency, rate_date

    ),

    test_partners as (select * from {{ ref("int_test_partners") }}),

    spend_on_nobody as (

        select
            marketing_spend.source_id,
            {{ no_text }} as exception_subject_id,
            case
                when marketing_spend.partner_id is null then 'campaign' else 'partner'
            end as entity_type,
            coalesce(marketing_spend.partner_id, marketing_spend.campaign_id) as entity_id,
            {{ no_text }} as partner_id,
            {{ no_text }} as event_id,
            cast(null as timestamp) as occurred_at,
            sum(marketing_spend.amount) as event_amount,
            marketing_spend.currency as event_currency
        from marketing_spend
        left join
            partners
            on marketing_spend.source_id = partners.source_id
            and marketing_spend.partner_id = partners.partner_id
        left join
            test_partners
            on marketing_spend.source_id = test_partners.source_id
            and marketing_spend.partner_id = test_partners.partner_id
        where partners.source_id is null and test_partners.source_id is null
        group by
            marketing_spend.source_id,
            case when marketing_spend.partner_id is null then 'campaign' else 'partner' end,
            coalesce(marketing_spend.partner_id, marketing_spend.campaign_id),
            marketing_spend.currency

    ),

    exceptions as (

        select *
        from {{ ref("int_event_exceptions") }}
        {% for rule in [
                "inferred_partner",
                "parents_in_a_circle",
                "unknown_partner_type",
                "quarantined_event",
                "missing_fx_rate",
                "unattributed_spend",
            ] %}
            union all
            {{ context["exception__" ~ rule]() }}
        {% endfor %}

    ),

    data_exceptions as (

        select
            -- ids
            exceptions.source_id,
            exceptions.exception_id,
            exceptions.entity_id,
            exceptions.partner_id,
            exceptions.source_event_id,

            -- strings
            exceptions.rule,
            exceptions.severity,
            exceptions.entity_type,
            exceptions.detail,
            exceptions.currency,

            -- numerics
            exceptions.amount_at_risk,

            -- booleans
            exceptions.is_open,

            -- timestamps
            exceptions.occurred_at
        from exceptions
        left join
            test_partners
            on exceptions.source_id = test_partners.source_id
            and exceptions.partner_id = test_partners.partner_id
        where test_partners.partner_id is null

    )

select *
from data_exceptions
