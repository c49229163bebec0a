"""From closed segments to one batch: who wins, what is counted as what, and which segments cannot be read."""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ingest.staging import Segment, StagedLine
from ingest.uuid7 import new_uuid7
from models.columns import EVENT_COLUMNS
from pipelines.batches import Counts, LoadBatch, ReadingOptions, empty_tables, prepare_batch, read_batch
from pipelines.fates import KNOWN_SCHEMA, KnownEvents
from pipelines.raw_tables import RAW_TABLES
from tests.line import Line, staged_line

NOON = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
LOADED_AT = datetime(2026, 11, 2, 0, 0, tzinfo=UTC)


def event(event_id: str | None, event_type: str = "click.tracked", **differing: object) -> bytes:
    """The body of a click or of a partner's registration; *differing* makes two bodies of one id differ."""
    data: dict[str, Any] = {"partner": {"id": "ptn_1"}}
    if event_type == "click.tracked":
        data["click"] = {"id": "clk_1", "occurred_at": "2026-06-01T10:00:00Z", "validity": "valid"}
    else:
        data["change"] = {"status": "pending", "effective_at": "2026-06-01T10:00:00Z"}
    known = {"id": event_id, "type": event_type, "schema_version": "1.0", "timestamp": "2026-06-01T10:00:00Z"}
    return json.dumps({**known, "data": data, **differing}).encode()


def accepted(raw: bytes, *, source: str = "acme", after: float = 0.0) -> StagedLine:
    """The line of a delivery received so many seconds after noon."""
    return staged_line(source, raw, NOON + timedelta(seconds=after))


def refused(source: str = "acme") -> StagedLine:
    """The line of a request that could not be verified."""
    return StagedLine(
        is_delivery=True, delivery_id=str(new_uuid7()), source_id=source, received_at="2026-11-01T12:00:00.000000Z",
        status_code=401, outcome="refused", reason="bad_signature", response_ms=0.2, body_bytes=17,
    )  # fmt: skip


class Reader:
    """Segments in a directory of their own, read as one batch."""

    def __init__(self, root: Path) -> None:
        self._line = Line(root)

    def segment(self, lines: Iterable[StagedLine] | bytes) -> Segment:
        path = self._line.stage_raw(lines if isinstance(lines, bytes) else b"".join(each.encode() for each in lines))
        return Segment(path.stem, path, path.stat().st_size)

    def read(self, *lines: StagedLine, known: Iterable[StagedLine] = ()) -> LoadBatch:
        return self.read_segments([self.segment(lines)], known=known)

    def read_segments(self, segments: list[Segment], *, known: Iterable[StagedLine] = ()) -> LoadBatch:
        held = pa.Table.from_pylist([_held(line) for line in known], schema=KNOWN_SCHEMA)
        return read_batch(segments, 7, LOADED_AT, _Held(held))


def _held(line: StagedLine) -> dict[str, Any]:
    """The event of *line* as a warehouse holds it."""
    return {
        "source_id": line.source_id,
        "event_id": line.event_id,
        "occurred_at": datetime.fromisoformat(line.occurred_at or "").replace(tzinfo=None),
        "received_at": datetime.fromisoformat(line.received_at).replace(tzinfo=None),
        "delivery_id": line.delivery_id,
        "batch_id": "earlier",
        "body_sha256": line.body_sha256,
    }


class _Held(KnownEvents):
    """A warehouse that holds *events*, and was asked for `asked`."""

    def __init__(self, events: pa.Table | None = None) -> None:
        self._events = KNOWN_SCHEMA.empty_table() if events is None else events
        self.asked: list[dict[str, Any]] = []

    def accepted(self, keys: pa.Table) -> pa.Table:
        self.asked.extend(keys.to_pylist())
        return self._events


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(tmp_path)


def rows(batch: LoadBatch, table: str) -> list[dict[str, Any]]:
    return list(batch.tables[table].table.to_pylist()) if table in batch.tables else []


def test_the_first_received_copy_wins_wherever_it_stands(reader: Reader) -> None:
    """Of two bodies of one id the earlier received is kept, even from a later line of a later segment."""
    late = accepted(event("e1", program_id="second"), after=2)
    early = accepted(event("e1", program_id="first"), after=1)
    batch = reader.read_segments([reader.segment([late]), reader.segment([early])])

    assert [row["program_id"] for row in rows(batch, "click_events")] == ["first"]
    assert batch.counts == Counts(received=2, loaded=1, duplicate=1, conflicting=1)
    (conflict,) = rows(batch, "event_conflicts")
    assert conflict["payload"] == late.payload
    assert (conflict["kept_body_sha256"], conflict["body_sha256"]) == (early.body_sha256, late.body_sha256)


def test_two_copies_received_in_one_microsecond_are_told_apart_by_delivery(reader: Reader) -> None:
    """A tie has one winner, the same however the lines are ordered."""
    pair = [accepted(event("e1", program_id=str(number))) for number in range(2)]
    kept = {rows(reader.read(*order), "click_events")[0]["program_id"] for order in (pair, pair[::-1])}

    assert kept == {"0"}


def test_a_repeated_body_is_a_duplicate_and_another_body_a_conflict(reader: Reader) -> None:
    """Both are counted, only the other body is kept, and that once however often it came."""
    same = [accepted(event("e1"), after=number) for number in range(3)]
    other = [accepted(event("e1", program_id="other"), after=10 + number) for number in range(2)]
    batch = reader.read(*same, *other)

    assert batch.counts == Counts(received=5, loaded=1, duplicate=4, conflicting=2)
    assert [row["delivery_id"] for row in rows(batch, "event_conflicts")] == [other[0].delivery_id]
    assert len(rows(batch, "deliveries")) == 5


def test_what_the_warehouse_holds_was_there_first(reader: Reader) -> None:
    """An event loaded before is a duplicate or a conflict now, whatever the order within the batch."""
    held, same = accepted(event("e1")), accepted(event("e1"), after=5)
    other = accepted(event("e1", program_id="other"), after=3)
    batch = reader.read(other, same, known=[held])

    assert rows(batch, "click_events") == []
    assert batch.counts == Counts(received=2, duplicate=2, conflicting=1)
    assert [row["kept_body_sha256"] for row in rows(batch, "event_conflicts")] == [same.body_sha256]


def test_the_warehouse_is_asked_about_the_events_at_hand_only(reader: Reader) -> None:
    """Each accepted id is asked for once, with its source; refused and quarantined ones are not."""
    known = _Held()
    lines = [accepted(event("e1")), accepted(event("e1")), accepted(event("e2"), source="zenith"), refused()]
    segment = reader.segment([*lines, accepted(b"{}")])
    read_batch([segment], 1, LOADED_AT, known)

    assert sorted((row["source_id"], row["event_id"]) for row in known.asked) == [("acme", "e1"), ("zenith", "e2")]


def test_an_id_shared_by_two_event_types_is_one_id(reader: Reader) -> None:
    """An id is unique within its source whatever the type, so the second event is a conflict, not a row elsewhere."""
    batch = reader.read(accepted(event("e1")), accepted(event("e1", "partner.registered"), after=1))

    assert [row["event_type"] for row in rows(batch, "click_events")] == ["click.tracked"]
    assert rows(batch, "partner_events") == []
    assert [row["event_type"] for row in rows(batch, "event_conflicts")] == ["partner.registered"]
    assert batch.counts == Counts(received=2, loaded=1, duplicate=1, conflicting=1)


def test_sources_stay_apart(reader: Reader) -> None:
    """Two senders may use one id; neither is a duplicate of the other, and each has its own counts."""
    lines = [accepted(event("e1"), source=source) for source in ("acme", "zenith", "zenith")]
    batch = reader.read(*lines)

    assert sorted(row["source_id"] for row in rows(batch, "click_events")) == ["acme", "zenith"]
    counted = {row["source_id"]: (row["received"], row["loaded"], row["duplicate"]) for row in rows(batch, "loads")}
    assert counted == {"acme": (1, 1, 0), "zenith": (2, 1, 1)}


def test_every_line_is_counted_as_one_thing(reader: Reader) -> None:
    """Loaded, duplicate, quarantined and refused add up to received."""
    lines = [accepted(event("e1")), accepted(event("e1")), accepted(b"not json"), accepted(b"[]"), refused()]
    batch = reader.read(*lines)

    assert batch.counts == Counts(received=5, loaded=1, duplicate=1, quarantined=2, refused=1)
    assert sorted(row["reason"] for row in rows(batch, "quarantined_events")) == ["malformed_json", "not_an_object"]
    assert sorted(row["outcome"] for row in rows(batch, "deliveries")) == [
        "accepted", "accepted", "quarantined", "quarantined", "refused",
    ]  # fmt: skip


def test_a_quarantined_event_keeps_what_was_sent(reader: Reader) -> None:
    """Text stays text; a body that is none waits in base64; and the reason says why."""
    odd = replace(accepted(b"?"), payload=None, payload_base64="/w==")
    batch = reader.read(accepted(event("e1", schema_version="9.0")), odd)
    held = {row["delivery_id"]: row for row in rows(batch, "quarantined_events")}

    assert held[odd.delivery_id]["payload"] is None
    assert held[odd.delivery_id]["payload_base64"] == "/w=="
    (known,) = (row for key, row in held.items() if key != odd.delivery_id)
    assert (known["event_id"], known["event_type"], known["schema_version"]) == ("e1", "click.tracked", "9.0")
    assert (known["reason"], known["load_seq"]) == ("unknown_version", 7)
    assert {known["batch_id"]} == {row["batch_id"] for row in rows(batch, "loads")}


def test_an_accepted_event_that_no_column_can_hold_goes_to_quarantine(reader: Reader) -> None:
    """Where the loader's reader of JSON sees another text than the contract did, nobody checked that text."""
    line = accepted(event("e1"))
    payload = (line.payload or "").replace('"validity": "valid"', '"validity": "valid", "is_bot": "perhaps"')
    batch = reader.read(replace(line, payload=payload), accepted(event("e2")))

    assert [row["event_id"] for row in rows(batch, "click_events")] == ["e2"]
    assert batch.counts == Counts(received=2, loaded=1, quarantined=1)
    (held,) = rows(batch, "quarantined_events")
    assert (held["event_id"], held["reason"], held["detail"]) == ("e1", "contract", "data.click.is_bot")
    assert held["payload"] == payload


MISFITS: dict[str, tuple[dict[str, Any], str]] = {
    "a type of tomorrow": ({"event_type": "click.cancelled"}, "type"),
    "no type": ({"event_type": None}, "type"),
    "no payload": ({"payload": None}, "payload"),
    "half a payload": ({"payload": '{"id": "e1", "data": {'}, "payload"),
}


@pytest.mark.parametrize(("fields", "detail"), MISFITS.values(), ids=MISFITS)
def test_an_accepted_event_that_has_no_row_here_goes_to_quarantine(
    reader: Reader, fields: dict[str, Any], detail: str
) -> None:
    """One event that this loader cannot place stops neither the load nor its neighbours, and stays accounted for."""
    batch = reader.read(replace(accepted(event("e1")), **fields), accepted(event("e2")))

    assert [row["event_id"] for row in rows(batch, "click_events")] == ["e2"]
    assert batch.counts == Counts(received=2, loaded=1, quarantined=1)
    assert [(row["event_id"], row["detail"]) for row in rows(batch, "quarantined_events")] == [("e1", detail)]


def test_a_copy_of_a_misfit_is_no_event_either(reader: Reader) -> None:
    """The second copy of an event that waits in quarantine is a duplicate of it; neither is loaded."""
    line = accepted(event("e1"))
    odd = (line.payload or "").replace('"valid"', '"valid", "is_bot": "perhaps"')
    batch = reader.read(replace(line, payload=odd), replace(accepted(event("e1"), after=1), payload=odd))

    assert rows(batch, "click_events") == []
    assert batch.counts == Counts(received=2, duplicate=1, quarantined=1)


GOOD = accepted(event("good")).encode()
POISON: dict[str, bytes] = {
    "garbage": b"garbage\n",
    "binary": b"\x00\xff\xfe\n",
    "cut in the middle": GOOD[: len(GOOD) // 2] + b"\n",
    "cut without a newline": GOOD[: len(GOOD) // 2],
    "no delivery": b'{"source_id": "acme", "outcome": "accepted"}\n',
    "no source": b'{"delivery_id": "d", "outcome": "accepted"}\n',
    "an empty object": b"{}\n",
    "an array": b"[1, 2]\n",
    "a wrong type": GOOD.replace(b'"body_bytes":', b'"body_bytes":"many","x":'),
    "no received_at": GOOD.replace(b'"received_at":', b'"x":'),
    "a received_at that is no time": GOOD.replace(b'"received_at":"2026', b'"received_at":"soon'),
    "an occurred_at that is no time": GOOD.replace(b'"occurred_at":"2026', b'"occurred_at":"soon'),
    "an accepted event without id": GOOD.replace(b'"event_id":', b'"x":'),
    "an accepted event without time": GOOD.replace(b'"occurred_at":', b'"x":'),
    "an unknown outcome": GOOD.replace(b'"outcome":"accepted"', b'"outcome":"maybe"'),
}


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON)
def test_a_segment_with_a_line_that_is_not_ours_is_left_out_whole(reader: Reader, poison: bytes) -> None:
    """It is named with what is wrong, none of its lines is loaded, and its neighbours are loaded all the same."""
    assert poison != GOOD
    before = reader.segment([accepted(event("e1"))])
    poisoned = reader.segment(GOOD + poison + accepted(event("behind")).encode())
    after = reader.segment([accepted(event("e2"))])
    batch = reader.read_segments([before, poisoned, after])

    assert sorted(row["event_id"] for row in rows(batch, "click_events")) == ["e1", "e2"]
    assert batch.counts == Counts(received=2, loaded=2)
    assert {row["batch_id"] for row in rows(batch, "loads")} == {before.batch_id, after.batch_id}
    ((named, error),) = batch.poisoned
    assert named == poisoned
    assert error
    assert "\n" not in error


def test_a_field_of_a_later_version_is_no_poison(reader: Reader) -> None:
    """A receiver that writes one field more than the loader knows does not stop it."""
    newer = GOOD.replace(b'"is_delivery":', b'"new_field":{"a":[1]},"is_delivery":')
    batch = reader.read_segments([reader.segment(newer)])

    assert batch.poisoned == []
    assert batch.counts == Counts(received=1, loaded=1)


def test_a_line_longer_than_the_readers_own_limit_is_read(reader: Reader) -> None:
    """A body of twenty megabytes is one line, and no poison."""
    batch = reader.read(accepted(event("e1", program_id="p" * 20 * 1024 * 1024)))

    assert batch.counts == Counts(received=1, loaded=1)


def test_the_ledger_of_loads_counts_by_the_day_received(reader: Reader) -> None:
    """A batch that spans midnight UTC has a row for each of its days."""
    lines = [accepted(event(f"e{number}"), after=seconds) for number, seconds in enumerate((0, 43199, 43200, 50000))]
    batch = reader.read(*lines)

    counted = {row["received_date"]: (row["received"], row["loaded"]) for row in rows(batch, "loads")}
    assert counted == {date(2026, 11, 1): (2, 2), date(2026, 11, 2): (2, 2)}
    assert {row["load_seq"] for row in rows(batch, "loads")} == {7}
    assert {row["loaded_at"] for row in rows(batch, "loads")} == {LOADED_AT.replace(tzinfo=None)}


def test_a_delivery_of_several_events_gives_each_of_them_once(reader: Reader) -> None:
    """The lines of one request share its delivery id; they are as many events, and one delivery."""
    first = accepted(event("e0"))
    more = [
        replace(accepted(event(f"e{number}")), is_delivery=False, delivery_id=first.delivery_id) for number in (1, 2)
    ]
    batch = reader.read(first, *more)

    assert sorted(row["event_id"] for row in rows(batch, "click_events")) == ["e0", "e1", "e2"]
    assert batch.counts == Counts(received=3, loaded=3)
    assert len(rows(batch, "deliveries")) == 1


def test_of_one_id_twice_in_a_delivery_the_first_by_position_wins(reader: Reader) -> None:
    """All events of a request are received at one moment; their order in it decides, not that of the lines."""
    first = accepted(event("e1", program_id="first"))
    second = replace(
        accepted(event("e1", program_id="second")), is_delivery=False, delivery_id=first.delivery_id, position=1
    )
    batch = reader.read(second, first)

    assert [row["program_id"] for row in rows(batch, "click_events")] == ["first"]
    assert batch.counts == Counts(received=2, loaded=1, duplicate=1, conflicting=1)


def test_a_segment_of_an_earlier_version_is_loaded(reader: Reader) -> None:
    """Lines that say neither position nor replay are the first of their delivery, and no replay."""
    lines = b"".join(each.encode() for each in (accepted(event("e1")), accepted(b"{")))
    earlier = lines.replace(b',"position":0,"is_replay":false', b"")
    batch = reader.read_segments([reader.segment(earlier)])

    assert earlier != lines
    assert batch.counts == Counts(received=2, loaded=1, quarantined=1)
    assert [(row["position"], row["replayed_at"]) for row in rows(batch, "quarantined_events")] == [(0, None)]


def test_a_segment_that_stands_there_under_two_names_is_loaded_once(reader: Reader) -> None:
    """A copy made by hand repeats every line; its events are duplicates."""
    line = accepted(event("e1"))
    batch = reader.read_segments([reader.segment([line]), reader.segment([line])])

    assert len(rows(batch, "click_events")) == 1
    assert batch.counts == Counts(received=2, loaded=1, duplicate=1)


def test_nothing_staged_is_an_empty_batch(reader: Reader) -> None:
    """No segment, an empty one, or one of poison alone: no table, no counts, no error."""
    assert reader.read_segments([]) == LoadBatch(7, {}, Counts(), [])
    assert reader.read() == LoadBatch(7, {}, Counts(), [])
    poisoned = reader.segment(b"garbage\n")
    batch = reader.read_segments([poisoned])
    assert (batch.tables, batch.counts, [segment for segment, _ in batch.poisoned]) == ({}, Counts(), [poisoned])


def test_a_name_with_a_quote_is_only_a_name(tmp_path: Path) -> None:
    """A stage may stand in a directory that SQL would trip over."""
    reader = Reader(tmp_path / "it's [here] *")

    assert reader.read(accepted(event("e1"))).counts == Counts(received=1, loaded=1)


def test_every_raw_table_is_known_before_its_first_row() -> None:
    """A new warehouse gets all tables with their columns, and a batch brings no other column."""
    tables = empty_tables()

    assert set(tables) == set(RAW_TABLES)
    for name, columns in EVENT_COLUMNS.items():
        assert {column.name for column in columns} <= set(tables[name].column_names)
    for name, table in RAW_TABLES.items():
        assert {*table.key, table.first_by} <= set(tables[name].column_names)
        assert tables[name].num_rows == 0


def test_batches_that_are_open_at_once_have_scratch_of_their_own(tmp_path: Path) -> None:
    """What does not fit into memory goes to files that are named alike in every DuckDB: one would read the other's."""
    options = ReadingOptions(scratch=tmp_path / "scratch")
    prepared = [prepare_batch([], number, LOADED_AT, options) for number in (1, 2)]

    places = {batch._reader.execute("select current_setting('temp_directory')").fetchone() for batch in prepared}
    for batch in prepared:
        batch.drop()

    assert len(places) == len(prepared)
