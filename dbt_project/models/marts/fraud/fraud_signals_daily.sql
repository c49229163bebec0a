{{
    config(
        unique_key=["source_id", "event_date"],
        touched_by="touched_signal_days",
    )
}}

{% set touched = ref("touched_signal_days") %}
{% set signals = fraud_signals() %}

with

    {% if is_incremental() %}
        first_days as (

            select
                source_id,
                {{ days_after("min(event_date)", -62) }} as first_date,
                {{ days_after("min(event_date)", -112) }} as first_deposit_date
            from {{ touched }}
            group by source_id

        ),
    {% endif %}

    chargebacks as (

        select distinct commissions.source_id, commissions.conversion_id
        from {{ ref("stg_raw__commission_events") }} as events
        inner join
            {{ ref("int_commission_states") }} as commissions
            on events.source_id = commissions.source_id
            and events.commission_id = commissions.commission_id
        where events.adjustment_type = 'chargeback' and commissions.conversion_id is not null

    ),

    all_conversions as (

        select
            *,
            created_date as event_date,
            coalesce(
                {{ reporting_date("case when status = 'rejected' then last_rejected_at end") }},
                {{ reporting_date("case when status = 'qualified' then first_qualified_at end") }}
            ) as verdict_date
        from {{ ref("conversions") }}
        where duplicate_of_conversion_id is null and created_date is not null

    ),

    conversions as (

        select
            conversions.*,
            chargebacks.conversion_id is not null as is_charged_back,
            coalesce(conversions.customer_id, conversions.conversion_id) as account_id,
            {{
                seconds_between(
                    "cast('2000-01-01' as " ~ dbt.type_timestamp() ~ ")", "conversions.created_at"
                )
            }} as created_second
        from all_conversions as conversions
        left join
            chargebacks
            on conversions.source_id = chargebacks.source_id
            and conversions.conversion_id = chargebacks.conversion_id
        where {{ read_since("conversions", "event_date") }}

    ),

    verdicts as (

        select *
        from all_conversions as conversions
        where verdict_date is not null and {{ read_since("conversions", "verdict_date") }}

    ),

    clicks as (

        select source_id, partner_id, click_date as event_date, sum(unique_clicks) as unique_clicks
        from {{ ref("int_clicks_by_day") }} as clicks
        where {{ read_since("clicks", "click_date") }}
        group by source_id, partner_id, click_date

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
                conversions as others
                on conversions.source_id = others.source_id
                and conversions.partner_id = others.partner_id
                and conversions.{{ hash }} = others.{{ hash }}
                and conversions.created_second >= others.created_second
                and others.created_second >= conversions.created_second - 86400
            group by 1, 2, 3, 4

        ),
    {%- endfor %}

    minima_by_day as (

        select
            source_id,
            value_currency,
            event_date,
            {{ day_number("event_date") }} as day_number,
            min(case when status = 'qualified' then value_amount end) as smallest_value
        from all_conversions as deposits
        where
            conversion_type = 'first_deposit'
            and value_amount is not null
            and {{ read_since("deposits", "event_date", "first_deposit_date") }}
        group by 1, 2, 3

    ),

    -- what has qualified as a first deposit of late, with any partner of the source
    known_minima as (

        select
            days.source_id,
            days.value_currency,
            days.event_date,
            min(earlier_days.smallest_value) as minimum_value
        from minima_by_day as days
        inner join
            minima_by_day as earlier_days
            on days.source_id = earlier_days.source_id
            and days.value_currency = earlier_days.value_currency
            and days.day_number > earlier_days.day_number
            and earlier_days.day_number >= days.day_number - 56
        group by 1, 2, 3

    ),

    counts as (

        {% for signal, measured, counted in [
            (
                "short_click_to_conversion",
                "seconds_click_to_conversion is not null",
                "seconds_click_to_conversion < 15",
            ),
            (
                "long_click_to_conversion",
                "seconds_click_to_conversion is not null",
                "seconds_click_to_conversion > 86400",
            ),
            (
                "geo_mismatch",
                "geo_country is not null and geo_declared_country is not null",
                "geo_country != geo_declared_country",
            ),
            (
                "conversions_without_click",
                "not coalesce(is_view_through, false) and coupon_code is null",
                "click_id is null",
            ),
            (
                "chargeback_rate",
                "true",
                "is_charged_back or (status = 'rejected' and rejection_reason_code = 'chargeback')",
            ),
            ("velocity", "true", "true"),
            (
                "self_referral",
                "true",
                "customer_id = partner_id or (status = 'rejected' and rejection_reason_code = 'self_referral')",
            ),
        ] %}
            select
                source_id,
                partner_id,
                event_date,
                '{{ signal }}' as signal,
                sum(case when {{ counted }} then 1 else 0 end) as numerator,
                count(*) as denominator,
                {% if signals[signal].kind == "count" -%}
                    sum(case when {{ counted }} then 1 else 0 end)
                {%- else -%} cast(null as bigint)
                {%- endif %} as largest
            from conversions
            where {{ measured }}
            group by source_id, partner_id, event_date
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
            group by source_id, partner_id, event_date
            union all
        {% endfor %}
        select
            source_id,
            partner_id,
            verdict_date as event_date,
            'rejection_spike' as signal,
            sum(case when status = 'rejected' then 1 else 0 end) as numerator,
            count(*) as denominator,
            cast(null as bigint) as largest
        from verdicts
        group by source_id, partner_id, verdict_date
        union all
        select
            conversions.source_id,
            conversions.partner_id,
            conversions.event_date,
            'first_deposits_at_minimum' as signal,
            sum(
                case when known_minima.minimum_value >= conversions.value_amount then 1 else 0 end
            ) as numerator,
            count(*) as denominator,
            cast(null as bigint) as largest
        from conversions
        inner join
            known_minima
            on conversions.source_id = known_minima.source_id
            and conversions.value_currency = known_minima.value_currency
            and conversions.event_date = known_minima.event_date
        where
            conversions.conversion_type = 'first_deposit'
            and conversions.value_amount is not null
            and known_minima.minimum_value is not null
        group by 1, 2, 3
        union all
        select
            clicks.source_id,
            clicks.partner_id,
            clicks.event_date,
            'conversion_rate_outlier' as signal,
            count(conversions.conversion_id) as numerator,
            max(clicks.unique_clicks) as denominator,
            cast(null as bigint) as largest
        from clicks
        left join
            conversions
            on clicks.source_id = conversions.source_id
            and clicks.partner_id = conversions.partner_id
            and clicks.event_date = conversions.event_date
            and coalesce(conversions.is_first, true)
        where clicks.unique_clicks > 0
        group by 1, 2, 3
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
        from
            (
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
                group by 1, 2, 3, 4
            ) as payouts_by_destination
        group by source_id, partner_id, event_date

    ),

    numbered_counts as (

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

    -- joined day by day, because not every engine has windows of so many days; discretely, the
    -- 99th percentile of at most 56 values is the largest of them
    counts_with_past as (

        select
            counts.source_id,
            counts.partner_id,
            counts.event_date,
            counts.signal,
            max(counts.numerator) as numerator,
            max(counts.denominator) as denominator,
            max(counts.largest) as largest,
            {%- for name, aggregate, first, last in [
                ("past_numerator", "sum", 56, 1),
                ("past_denominator", "sum", 56, 1),
                ("past_peak", "max", 56, 1),
                ("past_largest", "max", 56, 1),
                ("week_numerator", "sum", 6, 0),
                ("week_denominator", "sum", 6, 0),
                ("weeks_past_numerator", "sum", 62, 7),
                ("weeks_past_denominator", "sum", 62, 7),
            ] %}
                {%- set column = "numerator" if name == "past_peak" else name.split("_")[-1] %}
                {{ aggregate }} (
                    case
                        when
                            days.day_number >= counts.day_number - {{ first }}
                            and counts.day_number - {{ last }} >= days.day_number
                        then days.{{ column }}
                    end
                ) as {{ name }} {{ "," if not loop.last }}
            {%- endfor %}
        from numbered_counts as counts
        inner join
            numbered_counts as days
            on counts.source_id = days.source_id
            and counts.partner_id = days.partner_id
            and counts.signal = days.signal
            and counts.day_number >= days.day_number
            and days.day_number >= counts.day_number - 62
        where {{ only_touched("counts", touched, ["source_id", "event_date"]) }}
        group by 1, 2, 3, 4

    ),

    measures as (

        select
            source_id,
            partner_id,
            event_date,
            signal,
            largest,
            past_largest,
            case
                when signal = 'rejection_spike' then week_numerator else numerator
            end as numerator,
            case
                when signal = 'rejection_spike'
                then week_denominator
                when signal = 'velocity'
                then past_peak
                else denominator
            end as denominator,
            case
                when signal = 'rejection_spike' then weeks_past_numerator else past_numerator
            end as past_numerator,
            case
                when signal = 'rejection_spike' then weeks_past_denominator else past_denominator
            end as past_denominator
        from counts_with_past

    ),

    shares as (

        select
            *,
            {{ fraction("numerator", "denominator") }} as share,
            {{ fraction("past_numerator", "past_denominator") }} as past_share,
            {{ fraction("past_numerator + 1", "past_denominator + 2") }} as smoothed_share
        from measures

    ),

    -- partners with clicks enough to compare with, day by day
    ranked_peers as (

        select
            source_id,
            event_date,
            share,
            row_number() over (partition by source_id, event_date order by share) as share_rank,
            count(*) over (partition by source_id, event_date) as peers
        from shares
        where
            signal = 'conversion_rate_outlier'
            and denominator >= {{ signals["conversion_rate_outlier"].minimum }}

    ),

    medians as (

        select source_id, event_date, {{ percentile("share", 50, "share_rank", "peers") }} as median
        from ranked_peers
        group by source_id, event_date

    ),

    ranked_deviations as (

        select
            peers.source_id,
            peers.event_date,
            medians.median,
            abs(peers.share - medians.median) as deviation,
            row_number() over (
                partition by peers.source_id, peers.event_date
                order by abs(peers.share - medians.median)
            ) as deviation_rank,
            peers.peers
        from ranked_peers as peers
        inner join
            medians on peers.source_id = medians.source_id and peers.event_date = medians.event_date

    ),

    spreads as (

        select
            source_id,
            event_date,
            max(median) as median,
            {{ percentile("deviation", 50, "deviation_rank", "peers") }} as spread
        from ranked_deviations
        group by source_id, event_date

    ),

    judged_signals as (

        select
            shares.source_id,
            shares.partner_id,
            shares.event_date,
            shares.signal,
            shares.numerator,
            shares.denominator,
            case
                {%- for name, signal in signals.items() if signal.kind == "count" %}
                    when shares.signal = '{{ name }}'
                    then cast(shares.largest as {{ type_double() }})
                {%- endfor %}
                else shares.share
            end as value,
            case
                when shares.signal = 'velocity'
                then cast(shares.denominator as {{ type_double() }})
                when
                    shares.signal = 'conversion_rate_outlier'
                    and shares.denominator >= {{ signals["conversion_rate_outlier"].minimum }}
                then spreads.median
                {%- for name, signal in signals.items() if signal.kind == "count" %}
                    when shares.signal = '{{ name }}'
                    then cast(shares.past_largest as {{ type_double() }})
                {%- endfor %}
                when shares.signal != 'conversion_rate_outlier'
                then shares.past_share
            end as baseline,
            case
                shares.signal
                {%- for name, signal in signals.items() %}
                    when '{{ name }}' then cast({{ signal.threshold }} as {{ type_double() }})
                {%- endfor %}
            end as threshold,
            case
                when
                    shares.signal = 'conversion_rate_outlier'
                    and shares.denominator >= {{ signals["conversion_rate_outlier"].minimum }}
                then
                    cast(0.6745 as {{ type_double() }})
                    * (shares.share - spreads.median)
                    / nullif(spreads.spread, 0)
                when
                    shares.past_denominator > 0
                    and shares.signal in (
                        {%- for name, signal in signals.items() if signal.kind == "share" -%}
                            '{{ name }}'{{ ", " if not loop.last }}
                        {%- endfor -%}
                    )
                then
                    (shares.share - shares.smoothed_share) / sqrt(
                        shares.smoothed_share
                        * (1 - shares.smoothed_share)
                        / cast(shares.denominator as {{ type_double() }})
                    )
            end as z,
            case
                shares.signal
                {%- for name, signal in signals.items() %}
                    when '{{ name }}'
                    then
                        {{ "shares.numerator" if name == "velocity" else "shares.denominator" }}
                        >= {{ signal.minimum }}
                {%- endfor %}
            end as is_enough
        from shares
        left join
            spreads
            on shares.source_id = spreads.source_id
            and shares.event_date = spreads.event_date

    ),

    fraud_signals_daily as (

        select
            -- ids
            source_id,
            partner_id,

            -- strings
            signal,

            -- numerics
            cast(numerator as bigint) as numerator,
            cast(denominator as bigint) as denominator,
            value,
            baseline,
            threshold,
            z,

            -- booleans
            coalesce(
                is_enough
                and case
                    {%- for name, signal in signals.items() %}
                        when signal = '{{ name }}'
                        then
                            {{ "z" if signal.by_z else "value" }}
                            {{ ">=" if signal.at_least else ">" }} threshold
                    {%- endfor %}
                end,
                false
            ) as is_breach,

            -- dates
            event_date
        from judged_signals

    )

select *
from fraud_signals_daily
