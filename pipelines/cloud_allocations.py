"""
The view of what a payout was allocated to, in the words of Snowflake, BigQuery and Redshift.

`raw.payout_events` keeps the allocations as the JSON text that came; each engine takes an array apart in its own way.
The rows are those that DuckDB and PostgreSQL give: one per object of the array, an amount that is no money null.
"""

from pipelines.raw_tables import DATASET

_MONEY_TEXT = "^-?(0|[1-9][0-9]{0,19})([.][0-9]{1,8})?$"
"""As `pipelines.extraction.MONEY_TEXT`, without the backslash, which Snowflake and BigQuery would take for theirs."""

ALLOCATIONS: dict[str, str] = {
    "snowflake": f"""
        select
            payout_events.source_id,
            payout_events.event_id,
            cast(items.index + 1 as bigint) as position,
            cast(items.value:commission_id as varchar) as commission_id,
            cast(items.value:adjustment_id as varchar) as adjustment_id,
            case
                when regexp_like(cast(items.value:amount:amount as varchar), '{_MONEY_TEXT}')
                then cast(cast(items.value:amount:amount as varchar) as decimal(28, 8))
            end as amount,
            upper(cast(items.value:amount:currency as varchar)) as currency
        from {DATASET}.payout_events as payout_events,
            lateral flatten(input => parse_json(payout_events.allocations)) as items
        where payout_events.allocations is not null and startswith(cast(items.value as varchar), '{{')
    """,
    "bigquery": f"""
        select
            payout_events.source_id,
            payout_events.event_id,
            place + 1 as position,
            json_value(item, '$.commission_id') as commission_id,
            json_value(item, '$.adjustment_id') as adjustment_id,
            case
                when regexp_contains(json_value(item, '$.amount.amount'), '{_MONEY_TEXT}')
                then cast(json_value(item, '$.amount.amount') as numeric)
            end as amount,
            upper(json_value(item, '$.amount.currency')) as currency
        from {DATASET}.payout_events as payout_events
        cross join unnest(json_query_array(payout_events.allocations)) as item with offset as place
        where starts_with(ltrim(item), '{{')
    """,
    # Only of a column can SUPER be taken apart, so it is one first.
    "redshift": f"""
        select
            parsed.source_id,
            parsed.event_id,
            cast(place + 1 as bigint) as position,
            cast(item.commission_id as varchar) as commission_id,
            cast(item.adjustment_id as varchar) as adjustment_id,
            case
                when cast(item.amount.amount as varchar) ~ '{_MONEY_TEXT}'
                then cast(cast(item.amount.amount as varchar) as decimal(28, 8))
            end as amount,
            upper(cast(item.amount.currency as varchar)) as currency
        from (
            select source_id, event_id, json_parse(allocations) as items
            from {DATASET}.payout_events
            where is_valid_json_array(allocations)
        ) as parsed, parsed.items as item at place
        where is_object(item)
    """,
}
"""By the engine's dialect."""
