{#
    A signal of a day is judged by those of the same partner in 62 days before it; a rate of conversion is compared with
    those of the source's other partners on the day as well. What was counted as before touches nothing.
#}
with

    counts as (

        select
            source_id,
            partner_id,
            event_date,
            signal,
            day_number,
            case
                when {{ loaded_since_last_build("counts") }} then day_number
            end as changed_day_number
        from {{ ref("int_fraud_counts_by_day") }} as counts
        where {{ unless_all_is_derived() }}

    ),

    first_changes as (

        select source_id, min(changed_day_number) as day_number from counts group by source_id

    ),

    counts_since as (

        select
            counts.*,
            max(counts.changed_day_number) over (
                partition by counts.source_id, counts.partner_id, counts.signal
                order by counts.day_number
                rows unbounded preceding
            ) as last_changed_day_number
        from counts
        inner join
            first_changes
            on counts.source_id = first_changes.source_id
            and counts.day_number >= first_changes.day_number

    ),

    changed_rates as (

        select distinct source_id, event_date
        from counts
        where signal = 'conversion_rate_outlier' and changed_day_number is not null

    ),

    touched_signal_days as (

        select source_id, partner_id, event_date, signal
        from counts_since
        where last_changed_day_number >= day_number - 62 {{ union_distinct() }}
        select counts.source_id, counts.partner_id, counts.event_date, counts.signal
        from counts
        inner join
            changed_rates
            on counts.source_id = changed_rates.source_id
            and counts.event_date = changed_rates.event_date
        where counts.signal = 'conversion_rate_outlier'

    )

select *
from touched_signal_days
