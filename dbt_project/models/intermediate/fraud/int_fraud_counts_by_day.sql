{{
    config(
        unique_key=["source_id", "partner_id", "event_date"],
        touched_by="touched_fraud_counts",
    )
}}

{% set touched = ref("touched_fraud_counts") %}
{% set keys = ["source_id", "partner_id", "event_date"] %}
{% set signals = fraud_signals() %}

{#- Signals that count conversions of a day: which are looked at, and which of those show it. #}
{% set counted_signals = {
    "short_click_to_conversion": {
        "looked_at": "seconds_click_to_conversion is not null",
        "shows": "seconds_click_to_conversion < 15",
    },
    "long_click_to_conversion": {
        "looked_at": "seconds_click_to_conversion is not null",
        "shows": "seconds_click_to_conversion > 86400",
    },
    "geo_mismatch": {
        "looked_at": "geo_country is not null and geo_declared_country is not null",
        "shows": "geo_country != geo_declared_country",
    },
    "conversions_without_click": {
        "looked_at": "not coalesce(is_view_through, false) and coupon_code is null",
        "shows": "click_id is null",
    },
    "chargeback_rate": {
        "looked_at": "true",
        "shows": "is_charged_back or (status = 'rejected' and rejection_reason_code = 'chargeback')",
    },
    "velocity": {"looked_at": "true", "shows": "true"},
    "self_referral": {
        "looked_at": "true",
        "shows": "customer_id = partner_id or (status = 'rejected' and rejection_reason_code = 'self_referral')",
    },
    "first_deposits_at_minimum": {
        "looked_at": "minimum_value is not null",
        "shows": "minimum_value >= value_amount",
    },
} %}

with

    chargebacks as (

        select distinct commissions.source_id, commissions.conversion_id
        from {{ ref("stg_raw__commission_events") }} as events
        inner join
            {{ ref("int_commission_states") }} as commissions
            on events.source_id = commissions.source_id
            and events.commission_id = commissions.commission_id
        where events.adjustment_type = 'chargeback' and commissions.conversion_id is not null

    ),

    {% if is_incremental() %}
        -- what shares an address or a device within 24 hours with what was touched: the hours of
        -- two days before, where one of them is short
        days_nearby as (

            {% for days in range(3) -%}
                select source_id, partner_id, {{ days_after("event_date", -days) }} as created_date
                from {{ touched }} {{ union_distinct() if not loop.last }}
            {% endfor %}

        ),
    {% endif %}

    conversions_nearby as (

        select
            source_id,
            partner_id,
            created_date as event_date,
            conversion_id,
            coalesce(customer_id, conversion_id) as account_id,
            customer_id,
            status,
            rejection_reason_code,
            -- so that the join below is by equality alone, and no row is compared with every other
            case
                when conversion_type = 'first_deposit' and value_amount is not null
                then value_currency
            end as deposit_currency,
            value_amount,
            click_id,
            seconds_click_to_conversion,
            is_first,
            is_view_through,
            coupon_code,
            geo_country,
            geo_declared_country,
            device_ip_hash,
            device_fingerprint_hash,
            {{
                seconds_between(
                    "cast('2000-01-01' as " ~ dbt.type_timestamp() ~ ")", "created_at"
                )
            }} as created_second
        from {{ ref("conversions") }} as conversions
        where
            duplicate_of_conversion_id is null and created_date is not null
            {% if is_incremental() -%}
                and {{
                    is_among(
                        "conversions",
                        "days_nearby",
                        ["source_id", "partner_id", "created_date"],
                    )
                }}
            {%- endif %}

    ),

    -- what has qualified as a first deposit of late, with any partner of the source
    known_minima as (

        select
            days.source_id,
            days.value_currency,
            days.event_date,
            min(earlier_days.smallest_value) as minimum_value
        from {{ ref("int_first_deposit_minima") }} as days
        inner join
            {{ ref("int_first_deposit_minima") }} as earlier_days
            on days.source_id = earlier_days.source_id
            and days.value_currency = earlier_days.value_currency
            and days.day_number > earlier_days.day_number
            and earlier_days.day_number >= days.day_number - 56
        group by 1, 2, 3

    ),

    conversions as (

        select
            conversions.*,
            chargebacks.conversion_id is not null as is_charged_back,
            known_minima.minimum_value
        from conversions_nearby as conversions
        left join
            chargebacks
            on conversions.source_id = chargebacks.source_id
            and conversions.conversion_id = chargebacks.conversion_id
        left join
            known_minima
            on conversions.source_id = known_minima.source_id
            and conversions.deposit_currency = known_minima.value_currency
            and conversions.event_date = known_minima.event_date
        where {{ only_touched("conversions", touched, keys) }}

    ),

    conversions_by_day as (

        select
            source_id,
            partner_id,
            event_date,
            {%- for signal, counted in counted_signals.items() %}
                sum(
                    case when ({{ counted.looked_at }}) and ({{ counted.shows }}) then 1 else 0 end
                ) as {{ signal }},
                sum(case when {{ counted.looked_at }} then 1 else 0 end) as {{ signal }}_looked_at,
            {%- endfor %}
            sum(case when coalesce(is_first, true) then 1 else 0 end) as first_conversions
        from conversions
        group by 1, 2, 3

    ),

    clicks_by_day as (

        select source_id, partner_id, click_date as event_date, sum(unique_clicks) as unique_clicks
        from {{ ref("int_clicks_by_day") }} as clicks
        where unique_clicks > 0
        group by 1, 2, 3

    ),

    verdicts as (

        select
            source_id,
            partner_id,
            status,
            coalesce(
                {{ reporting_date("case when status = 'rejected' then last_rejected_at end") }},
                {{ reporting_date("case when status = 'qualified' then first_qualified_at end") }}
            ) as event_date
        from {{ ref("conversions") }}
        where
            duplicate_of_conversion_id is null
            and created_date is not null
            and status in ('rejected', 'qualified')

    ),

    payouts as (

        select
            source_id,
            partner_id,
            destination_hash,
            {{
                reporting_date(
                    "least(coalesce(scheduled_at, processing_at, completed_at, failed_at), "
                    ~ "coalesce(processing_at, scheduled_at, completed_at, failed_at), "
                    ~ "coalesce(completed_at, scheduled_at, processing_at, failed_at), "
                    ~ "coalesce(failed_at, scheduled_at, processing_at, completed_at))"
                )
            }} as event_date
        from {{ ref("payouts") }}
        where destination_hash is not null

    ),

    payouts_by_destination as (

        select
            payouts.source_id,
            payouts.partner_id,
            payouts.event_date,
            payouts.destination_hash,
            count(distinct others.partner_id) as partners
        from payouts
        inner join
            payouts as others
            on payouts.source_id = others.source_id
            and payouts.destination_hash = others.destination_hash
            and payouts.event_date >= others.event_date
        where {{ only_touched("payouts", touched, keys) }}
        group by 1, 2, 3, 4

    ),

    -- the accounts that the same address or device made within 24 hours, up to each conversion
    {%- for name, hash in [("ip", "device_ip_hash"), ("device", "device_fingerprint_hash")] %}
        accounts_of_same_{{ name }} as (

            select
                conversions.source_id,
                conversions.partner_id,
                conversions.event_date,
                conversions.conversion_id,
                count(distinct others.account_id) as accounts
            from conversions
            inner join
                conversions_nearby as others
                on conversions.source_id = others.source_id
                and conversions.partner_id = others.partner_id
                and conversions.{{ hash }} = others.{{ hash }}
                and conversions.created_second >= others.created_second
                and others.created_second >= conversions.created_second - 86400
            group by 1, 2, 3, 4

        ),
    {%- endfor %}

    counts as (

        {% for signal in counted_signals %}
            select
                source_id,
                partner_id,
                event_date,
                '{{ signal }}' as signal,
                {{ signal }} as numerator,
                {{ signal }}_looked_at as denominator,
                {{ signal if signals[signal].kind == "count" else "cast(null as bigint)" }}
                as largest
            from conversions_by_day
            where {{ signal }}_looked_at > 0
            union all
        {% endfor %}
        {% for name in ["ip", "device"] %}
            select
                source_id,
                partner_id,
                event_date,
                'same_{{ name }}_24h' as signal,
                sum(
                    case
                        when accounts >= {{ signals["same_" ~ name ~ "_24h"].threshold }}
                        then 1
                        else 0
                    end
                ) as numerator,
                count(*) as denominator,
                max(accounts) as largest
            from accounts_of_same_{{ name }}
            group by 1, 2, 3
            union all
        {% endfor %}
        select
            source_id,
            partner_id,
            event_date,
            'rejection_spike' as signal,
            sum(case when status = 'rejected' then 1 else 0 end) as numerator,
            count(*) as denominator,
            cast(null as bigint) as largest
        from verdicts
        where event_date is not null and {{ only_touched("verdicts", touched, keys) }}
        group by 1, 2, 3
        union all
        select
            clicks.source_id,
            clicks.partner_id,
            clicks.event_date,
            'conversion_rate_outlier' as signal,
            coalesce(conversions_by_day.first_conversions, 0) as numerator,
            clicks.unique_clicks as denominator,
            cast(null as bigint) as largest
        from clicks_by_day as clicks
        left join
            conversions_by_day
            on clicks.source_id = conversions_by_day.source_id
            and clicks.partner_id = conversions_by_day.partner_id
            and clicks.event_date = conversions_by_day.event_date
        where {{ only_touched("clicks", touched, keys) }}
        union all
        select
            source_id,
            partner_id,
            event_date,
            'payout_destination_shared' as signal,
            sum(
                case
                    when partners >= {{ signals["payout_destination_shared"].threshold }}
                    then 1
                    else 0
                end
            ) as numerator,
            count(*) as denominator,
            max(partners) as largest
        from payouts_by_destination
        group by 1, 2, 3

    ),

    new_counts as (

        select
            source_id,
            partner_id,
            event_date,
            signal,
            cast(numerator as bigint) as numerator,
            cast(denominator as bigint) as denominator,
            cast(largest as bigint) as largest,
            {{ day_number("event_date") }} as day_number
        from counts

    ),

    int_fraud_counts_by_day as (

        {{
            with_last_change(
                "new_counts",
                keys + ["signal"],
                ["numerator", "denominator", "largest"],
                ["day_number"],
                touched,
                keys,
            )
        }}

    )

select *
from int_fraud_counts_by_day
