"""
What becomes of every staged line: loaded, duplicate, conflicting, quarantined or refused.

Of an event's copies the first received is loaded, whichever is loaded first: what the warehouse holds gives way to a
copy that was received earlier, and is counted as its duplicate from then on (`raw.displaced_events`). A line that waits
in quarantine is known by its delivery and position, and a refused one by its delivery, so a copy of it is a duplicate.

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
ARRIVING_SCHEMA = pa.schema([*KEYS_SCHEMA, ("occurred_at", pa.timestamp("us"))])
KNOWN_SCHEMA = pa.schema(
    [
        *ARRIVING_SCHEMA,
        ("received_at", pa.timestamp("us")),
        *((name, pa.string()) for name in ("delivery_id", "batch_id", "body_sha256")),
    ]
)
BODIES_SCHEMA = pa.schema([*KNOWN_SCHEMA, ("event_type", pa.string()), ("payload", pa.string())])
DELIVERIES_SCHEMA = pa.schema([("delivery_id", pa.string()), ("received_at", pa.timestamp("us"))])
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

    def accepted(self, _arriving: pa.Table) -> pa.Table:
        """
        Return what it has of the events that arrive (ARRIVING_SCHEMA), as KNOWN_SCHEMA.

        An event is known by its source and id. `occurred_at` says where to look first, since a redelivery carries the
        same; one that arrives with another is found all the same.
        """
        return KNOWN_SCHEMA.empty_table()

    def bodies(self, _known: pa.Table) -> pa.Table:
        """Return the same events (KNOWN_SCHEMA) with what they hold, as BODIES_SCHEMA."""
        return BODIES_SCHEMA.empty_table()

    def refused(self, _deliveries: pa.Table) -> pa.Table:
        """Return those of the deliveries (DELIVERIES_SCHEMA) that it has as refused."""
        return DELIVERIES_SCHEMA.empty_table()

    def quarantined(self, _places: pa.Table) -> pa.Table:
        """Return the rows of its quarantine at the places (PLACES_SCHEMA), as QUARANTINED_SCHEMA."""
        return QUARANTINED_SCHEMA.empty_table()

    def replayed(self, _places: pa.Table) -> pa.Table:
        """Return those of the places (PLACES_SCHEMA) whose replay it has loaded, as REPLAYED_SCHEMA."""
        return REPLAYED_SCHEMA.empty_table()


def compare_arrivals(reader: duckdb.DuckDBPyConnection, known: KnownEvents, unfit: pa.Table) -> None:
    """
    Say in `arrivals` which accepted lines are new, and in `misfits` which of those have no table.

    A line that has no row in `arrivals` is not accepted. `known_events` is what the warehouse has of the events at
    hand. *unfit* has the `line_number` and `detail` of accepted lines that do not fit their table.
    """
    arriving = reader.sql("""
        select source_id, event_id, min(occurred_at) as occurred_at
        from lines
        where outcome = 'accepted'
        group by source_id, event_id
    """).to_arrow_table()
    held = known.accepted(arriving.cast(ARRIVING_SCHEMA)) if arriving.num_rows else KNOWN_SCHEMA.empty_table()
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
                first_value(body_sha256) over (arriving) as first_body_sha256,
                first_value(received_at) over (arriving) as first_received_at,
                first_value(delivery_id) over (arriving) as first_delivery_id
            from lines
            where outcome = 'accepted'
            window arriving as (
                partition by source_id, event_id order by received_at, delivery_id, position, line_number
            )

        ),

        compared as (

            select
                ordered.line_number,
                ordered.body_sha256,
                ordered.arrival,
                coalesce(
                    (known_events.received_at, known_events.delivery_id)
                        <= (ordered.first_received_at, ordered.first_delivery_id),
                    false
                ) as is_held,
                case when is_held then known_events.body_sha256 else ordered.first_body_sha256 end as kept_body_sha256
            from ordered
            left join known_events using (source_id, event_id)

        )

        select
            line_number,
            kept_body_sha256,
            case
                when not is_held and arrival = 1 then 'loaded'
                when body_sha256 = kept_body_sha256 then 'duplicate'
                else 'conflicting'
            end as fate
        from compared
    """)
    types = ", ".join(f"'{name}'" for name in EVENT_TYPES)
    # A receiver that is newer than this loader may know types that have no table here yet.
    reader.register("unfit", unfit)
    reader.execute(f"""
        create or replace temp table misfits as
        select line_number, 'type' as detail
        from lines
        join arrivals using (line_number)
        where arrivals.fate = 'loaded' and coalesce(lines.event_type, '') not in ({types})
        union all
        select line_number, unfit.detail
        from unfit
        join arrivals using (line_number)
        where arrivals.fate = 'loaded'
    """)


def decide_fates(reader: duckdb.DuckDBPyConnection, known: KnownEvents) -> None:
    """
    Say in `fates` what became of every line, and in `replays` which have loaded.

    `fates` has a row per line, but for deliveries that are ignored: line_number, fate, kept_body_sha256, fate_reason,
    fate_detail. `replays` has one per place that is replayed from now on. `held_quarantine` is what the warehouse has
    of the places at hand. `displaced` is what it has of events of which an earlier copy came only now,
    `displaced_bodies` what those held that differ.
    """
    places = reader.sql("""
        select distinct delivery_id, cast(position as bigint) as position
        from lines
        where outcome = 'quarantined' or is_replay or line_number in (select line_number from misfits)
    """).to_arrow_table()
    asked = known if places.num_rows else KnownEvents()
    reader.register("held_quarantine", asked.quarantined(places.cast(PLACES_SCHEMA)))
    reader.register("known_replays", asked.replayed(places.cast(PLACES_SCHEMA)))
    deliveries = reader.sql(
        "select delivery_id, min(received_at) as received_at from lines where outcome = 'refused' group by delivery_id"
    ).to_arrow_table()
    asked = known if deliveries.num_rows else KnownEvents()
    reader.register("known_refusals", asked.refused(deliveries.cast(DELIVERIES_SCHEMA)))
    reader.execute(_FATES)
    reader.execute(_REPLAYS)
    reader.execute(_DISPLACED)
    displaced = reader.sql(f"select {', '.join(KNOWN_SCHEMA.names)} from displaced where is_conflict").to_arrow_table()
    asked = known if displaced.num_rows else KnownEvents()
    reader.register("displaced_bodies", asked.bodies(displaced.cast(KNOWN_SCHEMA)))


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
        -- a delivery of which a mapping makes nothing is no event
        where lines.outcome != 'ignored'

    ),

    first_to_wait as (

        select min(line_number) as line_number
        from judged
        where fate = 'quarantined' and not is_replay
        group by delivery_id, position

    ),

    first_refused as (

        select min(line_number) as line_number
        from judged
        anti join known_refusals using (delivery_id)
        where fate = 'refused'
        group by delivery_id

    )

    select
        judged.line_number,
        case
            when judged.fate = 'refused' and first_refused.line_number is null then 'duplicate'
            when judged.fate != 'quarantined' then judged.fate
            when first_to_wait.line_number is null or held_quarantine.delivery_id is not null then 'duplicate'
            else 'quarantined'
        end as fate,
        judged.kept_body_sha256,
        judged.fate_reason,
        judged.fate_detail
    from judged
    left join first_to_wait using (line_number)
    left join first_refused using (line_number)
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

_DISPLACED = """
    create or replace temp table displaced as
    select
        known_events.*,
        lines.body_sha256 as kept_body_sha256,
        known_events.body_sha256 != lines.body_sha256 as is_conflict,
        lines.batch_id as kept_batch_id,
        lines.load_seq
    from known_events
    join lines using (source_id, event_id)
    join fates using (line_number)
    where fates.fate = 'loaded'
"""
