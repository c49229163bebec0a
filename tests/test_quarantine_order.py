"""Whatever order and loads the segments come in: the same events, the same rows that wait, and nothing unexplained."""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.staging import Segment, Stage, StagedLine
from models.columns import EVENT_COLUMNS
from pipelines.batches import LoadBatch, empty_tables, read_batch
from pipelines.duckdb_known_events import HeldEvents, note_every_event
from pipelines.duckdb_warehouse import DuckDBSession
from pipelines.raw_tables import RAW_TABLES
from tests.line import RECEIVED_AT, staged_line
from tests.test_quarantine import BODIES, ODD, UNKNOWN, quarantined

_EVENTS = " union all ".join(f"select source_id, event_id from raw.{table}" for table in EVENT_COLUMNS)
_UNEXPLAINED = f"""
    select
        (select sum(received) - sum(duplicate) from raw.loads)
        - (select count(*) from raw.displaced_events)
        - (select count(*) from ({_EVENTS}))
        - (select count(*) from raw.quarantined_events)
        - (select count(*) from raw.deliveries where outcome = 'refused')
"""


def replay_of(line: StagedLine) -> StagedLine:
    """The line that gives *line* out of quarantine once more."""
    event = staged_line(line.source_id, (line.payload or "").encode().replace(b'"is_bot":"perhaps",', b""), RECEIVED_AT)
    return replace(
        event, delivery_id=line.delivery_id, received_at=line.received_at, position=line.position, is_delivery=False,
        is_replay=True, payload=line.payload, body_sha256=line.body_sha256,
    )  # fmt: skip


HELD = [quarantined(raw, after=number) for number, raw in enumerate((*BODIES[:4], UNKNOWN, ODD))]
HELD[2] = replace(HELD[2], delivery_id=HELD[1].delivery_id, position=1, is_delivery=False)
HELD[5] = replace(quarantined(ODD.replace(b"evt_0003", b"evt_odd"), after=9), source_id="zenith")
OTHER = json.dumps({**json.loads(BODIES[3]), "program_id": "another"}).encode()
SEGMENTS: list[list[StagedLine]] = [
    HELD[:3],
    HELD[3:],
    [replay_of(HELD[0]), replay_of(HELD[1])],
    [replay_of(HELD[1]), replay_of(HELD[2]), replay_of(HELD[3])],
    [replay_of(HELD[5])],
    [staged_line("acme", BODIES[0], RECEIVED_AT + timedelta(days=1)), staged_line("acme", OTHER, RECEIVED_AT)],
    [staged_line("acme", BODIES[7], RECEIVED_AT)],
]
OPEN = sorted((line.delivery_id, line.position) for line in HELD[4:])
REPLAYED = sorted((line.delivery_id, line.position) for line in HELD[:4])


_EMPTY = cache(empty_tables)


class MergedTables:
    """The tables of `raw` in DuckDB, each batch merged by key as the loader's merge does."""

    def __init__(self) -> None:
        self.session = DuckDBSession(duckdb.connect)
        self.connection = self.session.connection
        self.connection.execute("create schema raw")
        for name, arrow in _EMPTY().items():
            self.connection.register("arriving", arrow)
            self.connection.execute(f"create table raw.{name} as from arriving")
            self.connection.unregister("arriving")
        note_every_event(self.connection)

    def load(self, segments: Iterable[Segment], load_seq: int) -> LoadBatch:
        """Read *segments* as the loader does, and merge them."""
        moment = RECEIVED_AT + timedelta(days=load_seq)
        batch = read_batch(list(segments), load_seq, moment, HeldEvents(self.connection, is_empty=False))
        for name, rows in batch.tables.items():
            self.connection.register("arriving", rows.table)
            key = ", ".join(RAW_TABLES[name].key)
            self.connection.execute(f"delete from raw.{name} where ({key}) in (select ({key}) from arriving)")
            self.connection.execute(f"insert into raw.{name} by name from arriving")
            self.connection.unregister("arriving")
        self.session.remove_displaced()
        note_every_event(self.connection)
        return batch

    def places(self, condition: str) -> list[tuple[str, int]]:
        """Delivery and position of the quarantined rows for which *condition* holds."""
        return self.connection.execute(
            f"select delivery_id, position from raw.quarantined_events where {condition} order by all"
        ).fetchall()


@given(order=st.permutations(range(len(SEGMENTS))), loads=st.integers(1, len(SEGMENTS)), data=st.data())
@settings(max_examples=6, deadline=None)
def test_the_order_of_loads_does_not_decide_what_waits(order: list[int], loads: int, data: st.DataObject) -> None:
    """A replay before its row, beside it, twice, after a retry, against another body: the end is the same."""
    cuts = sorted(data.draw(st.lists(st.integers(1, len(order) - 1), min_size=loads - 1, max_size=loads - 1)))
    tables = MergedTables()
    with TemporaryDirectory() as directory:
        stage = Stage(Path(directory))
        segments = [stage.publish(SEGMENTS[number]) for number in order]
        for load_seq, (begin, end) in enumerate(zip([0, *cuts], [*cuts, len(order)], strict=True), start=1):
            tables.load([segment for segment in segments[begin:end] if segment is not None], load_seq)
            assert tables.connection.execute(_UNEXPLAINED).fetchall() == [(0,)]

    assert tables.places("replayed_at is null") == OPEN
    assert tables.places("replayed_at is not null") == REPLAYED
    assert tables.connection.execute(f"select event_id from ({_EVENTS}) order by 1").fetchall() == [
        ("evt_0001",), ("evt_0002",), ("evt_0003",), ("evt_0004",), ("evt_0008",),
    ]  # fmt: skip
    marked = tables.connection.execute(
        "select quarantined_events.replayed_at = replayed_events.replayed_at from raw.quarantined_events "
        "join raw.replayed_events using (delivery_id, position)"
    ).fetchall()
    assert marked == [(True,)] * len(REPLAYED)
