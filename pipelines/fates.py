"""
What becomes of every staged line: loaded, duplicate, conflicting, quarantined or refused.

Of an event's copies the first received is loaded; what the warehouse holds was there first. A line that waits in
quarantine is known by its delivery and position, so a copy of it is a duplicate too.

A replay gives an event out of quarantine once more. It is counted as one more line, like a retry of the sender: loaded,
or a duplicate where the event came by another way meanwhile. The quarantine's own row stays and stays counted; it is
marked, not moved, so that received = loaded + duplicate + quarantined + refused holds after every load. Which replays
have loaded stands in `raw.replayed_events`, so that the mark is found whether the row or its replay is loaded first. A
replay that no column can hold after all is a duplicate of the row that waits, and leaves it open.
"""

import duckdb
import pyarrow as pa

from models.event_types import EVENT_TYPES

KEYS_SCHEMA = pa.schema([("source_id", pa.string()), ("event_id", pa.string())])
KNOWN_SCHEMA = pa.schema([*KEYS_SCHEMA, ("body_sha256", pa.string())])
PLACES_SCHEMA = pa.schema([("delivery_id", pa.string()), ("position", pa.int64())])
REPLAYED_SCHEMA = pa.schema([*PLACES_SCHEMA, ("replayed_at", pa.timestamp("us"))])
QUARANTINED_SCHEMA = pa.schema(
    [
        *PLACES_SCHEMA,
        *((name, pa.string()) for name in ("source_id", "event_id", "event_type", "schema_version")),
        *((name, pa.string()) for name in ("reason", "detail", "payload", "payload_base64")),
        ("received_at", pa.timestamp("us")),
        ("replayed_at", pa.timestamp("us")),
        *((name, pa.string()) for name in ("body_sha256", "batch_id")),
        ("load_seq", pa.int64()),
    ]
)
"""The columns of `raw.quarantined_events`."""


class KnownEvents:
    """What a warehouse holds already of the lines at hand: this one, which is empty, nothing."""

    def accepted(self, _keys: pa.Table) -> pa.Table:
        """Return those of the keys (KEYS_SCHEMA) that it has an event of, as KNOWN_SCHEMA."""
        return KNOWN_SCHEMA.empty_table()

    def quarantined(self, _places: pa.Table) -> pa.Table:
        """Return the rows of its quarantine at the places (PLACES_SCHEMA), as QUARANTINED_SCHEMA."""
        return QUARANTINED_SCHEMA.empty_table()

    def replayed(self, _places: pa.Table) -> pa.Table:
        """Return those of the places (PLACES_SCHEMA) whose replay it has loaded, as REPLAYED_SCHEMA."""
        return REPLAYED_SCHEMA.empty_table()


def compare_arrivals(reader: duckdb.DuckDBPyConnection, known: KnownEvents) -> None:
    """
    Say in `arrivals` which accepted lines are new, and in `misfits` which of those have no table.

    A line that has no row in either is not accepted, or fits as far as can be told before it is parsed.
    """
    keys = reader.sql("select distinct source_id, event_id from lines where outcome = 'accepted'").to_arrow_table()
    held = known.accepted(keys.cast(KEYS_SCHEMA)) if keys.num_rows else KNOWN_SCHEMA.empty_table()
    reader.register("known_events", held)
    reader.execute("""
        create or replace temp table arrivals as
        with

        ordered as (

            select
                line_number,
                source_id,
                event_id,
                body_sha256,
                row_number() over (arriving) as arrival,
                first_value(body_sha256) over (arriving) as first_body_sha256
            from lines
            where outcome = 'accepted'
            window arriving as (
                partition by source_id, event_id order by received_at, delivery_id, position, line_number
            )

        )

        select
            ordered.line_number,
            coalesce(known_events.body_sha256, ordered.first_body_sha256) as kept_body_sha256,
            case
                when known_events.event_id is null and ordered.arrival = 1 then 'loaded'
                when ordered.body_sha256 = coalesce(known_events.body_sha256, ordered.first_body_sha256)
                    then 'duplicate'
                else 'conflicting'
            end as fate
        from ordered
        left join known_events using (source_id, event_id)
    """)
    types = ", ".join(f"'{name}'" for name in EVENT_TYPES)
    # A receiver that is newer than this loader may know types that have no table here yet.
    reader.execute(f"""
        create or replace temp table misfits as
        select line_number, 'type' as detail
        from lines
        join arrivals using (line_number)
        where arrivals.fate = 'loaded' and coalesce(lines.event_type, '') not in ({types})
    """)


def decide_fates(reader: duckdb.DuckDBPyConnection, known: KnownEvents) -> None:
    """
    Say in `fates` what became of every line, once `misfits` is complete, and in `replays` which have loaded.

    `fates` has a row per line: line_number, fate, kept_body_sha256, fate_reason, fate_detail. `replays` has one per
    place that is replayed from now on. `held_quarantine` is what the warehouse has of the places at hand.
    """
    places = reader.sql("""
        select distinct delivery_id, cast(position as bigint) as position
        from lines
        where outcome = 'quarantined' or is_replay or line_number in (select line_number from misfits)
    """).to_arrow_table()
    known = known if places.num_rows else KnownEvents()
    reader.register("held_quarantine", known.quarantined(places.cast(PLACES_SCHEMA)))
    reader.register("known_replays", known.replayed(places.cast(PLACES_SCHEMA)))
    reader.execute(_FATES)
    reader.execute(_REPLAYS)


_FATES = """
    create or replace temp table fates as
    with

    judged as (

        select
            lines.line_number,
            lines.delivery_id,
            lines.position,
            lines.is_replay,
            case
                when misfits.line_number is not null then 'quarantined'
                else coalesce(arrivals.fate, lines.outcome)
            end as fate,
            arrivals.kept_body_sha256,
            case when misfits.line_number is not null then 'contract' else lines.reason end as fate_reason,
            coalesce(misfits.detail, lines.detail) as fate_detail
        from lines
        left join arrivals using (line_number)
        left join misfits using (line_number)

    ),

    first_to_wait as (

        select min(line_number) as line_number
        from judged
        where fate = 'quarantined' and not is_replay
        group by delivery_id, position

    )

    select
        judged.line_number,
        case
            when judged.fate != 'quarantined' then judged.fate
            when first_to_wait.line_number is null or held_quarantine.delivery_id is not null then 'duplicate'
            else 'quarantined'
        end as fate,
        judged.kept_body_sha256,
        judged.fate_reason,
        judged.fate_detail
    from judged
    left join first_to_wait using (line_number)
    left join held_quarantine using (delivery_id, position)
"""

# What stands beside a misfit of the same event in one load was not compared with an event that is in `raw`.
_REPLAYS = """
    create or replace temp table replays as
    select distinct on (lines.delivery_id, lines.position)
        lines.delivery_id,
        cast(lines.position as bigint) as position,
        lines.source_id,
        lines.event_id,
        fates.fate,
        lines.loaded_at as replayed_at,
        lines.batch_id,
        lines.load_seq
    from lines
    join fates using (line_number)
    anti join (select source_id, event_id from lines join misfits using (line_number)) as unfit
        using (source_id, event_id)
    anti join known_replays using (delivery_id, position)
    where lines.is_replay and fates.fate in ('loaded', 'duplicate', 'conflicting') and lines.outcome = 'accepted'
    order by lines.delivery_id, lines.position, fates.fate = 'loaded' desc, lines.batch_id, lines.line_number
"""
