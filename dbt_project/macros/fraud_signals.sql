{#
    The thirteen signals of `fraud_signals_daily`, in one table: what breaches each, and what a breach weighs in the score
    of `fraud_scorecard`. A threshold is changed in the variable `fraud_thresholds`, {signal: number}, and so is how much
    there must be to judge, in `fraud_minimums`.

    kind is how the value comes about: the share that the numerator has of the denominator, the largest count of anything
    that occurs together, a ratio to the signal's own past, or a rate among those of other partners. A value breaches
    above the threshold, or from it on where at_least says so; a signal that is judged by z has its threshold for z.
#}
{% macro fraud_signals() -%}
    {%- set signals = {
        "short_click_to_conversion": {"kind": "share", "threshold": 0.05, "weight": 15},
        "long_click_to_conversion": {"kind": "share", "threshold": 0.30, "weight": 5},
        "same_ip_24h": {
            "kind": "count",
            "threshold": 3,
            "at_least": true,
            "weight": 15,
        },
        "same_device_24h": {
            "kind": "count",
            "threshold": 2,
            "at_least": true,
            "weight": 15,
        },
        "velocity": {"kind": "ratio", "threshold": 3, "minimum": 10, "weight": 10},
        "geo_mismatch": {"kind": "share", "threshold": 0.10, "weight": 10},
        "conversions_without_click": {"kind": "share", "threshold": 0.20, "weight": 10},
        "conversion_rate_outlier": {
            "kind": "peers",
            "threshold": 4,
            "by_z": true,
            "minimum": 200,
            "weight": 15,
        },
        "rejection_spike": {
            "kind": "share",
            "threshold": 3,
            "by_z": true,
            "weight": 10,
        },
        "first_deposits_at_minimum": {"kind": "share", "threshold": 0.60, "weight": 10},
        "chargeback_rate": {"kind": "share", "threshold": 0.01, "weight": 20},
        "payout_destination_shared": {
            "kind": "count",
            "threshold": 2,
            "at_least": true,
            "weight": 20,
        },
        "self_referral": {
            "kind": "count",
            "threshold": 1,
            "at_least": true,
            "weight": 20,
        },
    } -%}
    {%- for name, signal in signals.items() -%}
        {%- do signal.update(
            {
                "threshold": var("fraud_thresholds").get(name, signal["threshold"]),
                "minimum": var("fraud_minimums").get(name, signal.get("minimum", 1)),
            }
        ) -%}
    {%- endfor -%}
    {{ return(signals) }}
{%- endmacro %}

{# SQL: the number of a day, so that windows of days can be whole numbers on every engine. #}
{% macro day_number(date) -%}
    cast({{ dbt.datediff("cast('2000-01-01' as date)", date, "day") }} as bigint)
{%- endmacro %}

{# SQL: the day so many days after *date*. #}
{% macro days_after(date, days) -%}
    cast({{ dbt.dateadd("day", days, date) }} as date)
{%- endmacro %}
