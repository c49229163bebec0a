{{
    config(
        unique_key=["source_id", "partner_id", "event_date", "signal"],
        touched_by="touched_signal_days",
    )
}}

{% set touched = ref("touched_signal_days") %}
{% set keys = ["source_id", "partner_id", "event_date", "signal"] %}
{% set signals = fraud_signals() %}

with

    counts as (

        -- what is gone stands there without numbers
        select * from {{ ref("int_fraud_counts_by_day") }} where denominator is not null

    ),

    -- discretely, the 99th percentile of at most 56 values is the largest of them
    {%- set pasts = {
        "past_numerator": ["sum", "numerator", 56, 1],
        "past_denominator": ["sum", "denominator", 56, 1],
        "past_peak": ["max", "numerator", 56, 1],
        "past_largest": ["max", "largest", 56, 1],
        "week_numerator": ["sum", "numerator", 6, 0],
        "week_denominator": ["sum", "denominator", 6, 0],
        "weeks_past_numerator": ["sum", "numerator", 62, 7],
        "weeks_past_denominator": ["sum", "denominator", 62, 7],
    } %}
    counts_with_past as (

        select
            counts.source_id,
            counts.partner_id,
            counts.event_date,
            counts.signal,
            max(counts.numerator) as numerator,
            max(counts.denominator) as denominator,
            max(counts.largest) as largest,
            -- joined day by day, because not every engine has windows of so many days
            {%- for name, (aggregate, column, first, last) in pasts.items() %}
                {{ aggregate }} (
                    case
                        when
                            days.day_number >= counts.day_number - {{ first }}
                            and counts.day_number - {{ last }} >= days.day_number
                        then days.{{ column }}
                    end
                ) as {{ name }} {{ "," if not loop.last }}
            {%- endfor %}
        from counts
        inner join
            counts as days
            on counts.source_id = days.source_id
            and counts.partner_id = days.partner_id
            and counts.signal = days.signal
            and counts.day_number >= days.day_number
            and days.day_number >= counts.day_number - 62
        where {{ only_touched("counts", touched, keys) }}
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
