"""Replays on a real warehouse: what fits goes where it belongs, the rest stays, and every line stays accounted for."""

import base64
import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

import pipelines.duckdb_warehouse
import pipelines.quarantine
from ingest.archive import Archive
from ingest.staging import StagedLine
from models.reading import EventHeader, read_event
from pipelines.batches import Counts
from pipelines.quarantine import Quarantine, ReplayReport, Selection
from pipelines.status import read_status
from tests.line import RECEIVED_AT, BareLine, Line, fixture_bodies, staged_line
from tests.test_load import archived, ids
from tests.test_load_crash import load_and_die

FIXTURES = Path(__file__).parent / "fixtures" / "events"
BODIES = fixture_bodies(FIXTURES)
UNKNOWN = json.dumps({**json.loads(BODIES[0]), "type": "partner.promoted"}).encode()


def quarantined(raw: bytes, reason: str = "unknown_type", *, source: str = "acme", after: float = 0.0) -> StagedLine:
    """The line of a receiver that did not know yet what *raw* is, so many seconds after the first."""
    line = staged_line(source, raw, RECEIVED_AT + timedelta(seconds=after))
    return replace(line, outcome="quarantined", reason=reason, occurred_at=None, has_synthetic_id=None)


def quarantine_of(line: Line) -> Quarantine:
    """The quarantine of *line*."""
    return Quarantine(line.warehouse, line.stage)


def waiting(line: Line) -> list[tuple[str, int]]:
    """The places of what has not been replayed."""
    rows = line.query_warehouse(
        "select delivery_id, position from raw.quarantined_events where replayed_at is null order by all"
    )
    return [(row["delivery_id"], row["position"]) for row in rows]


def assert_explained(line: BareLine) -> None:
    """What was received is accounted for, and `raw` holds just as many rows."""
    for row in line.query_warehouse("select * from raw.loads"):
        assert row["received"] == row["loaded"] + row["duplicate"] + row["quarantined"] + row["refused"]
    assert {source.unexplained for source in read_status(line.root / "state").sources.values()} == {0}


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line(tmp_path)


def test_what_fits_now_is_loaded_in_its_own_place_and_the_row_is_marked(line: Line) -> None:
    """The event keeps its delivery and time of receipt; its row in quarantine stays, with the time of the replay."""
    held = quarantined(BODIES[0])
    line.stage_lines([held, staged_line("acme", BODIES[1], RECEIVED_AT)])
    line.load()
    report = quarantine_of(line).replay(Selection())
    assert report == ReplayReport(examined=1, fitting=1, segments=1)
    assert line.load().counts == Counts(received=1, loaded=1)

    (event,) = line.query_warehouse("from raw.partner_events where event_id = 'evt_0001'")
    assert (event["delivery_id"], event["payload"]) == (held.delivery_id, held.payload)
    assert event["received_at"] == RECEIVED_AT.replace(tzinfo=None)
    assert (event["has_synthetic_id"], event["body_sha256"]) == (False, held.body_sha256)
    (row,) = line.query_warehouse("from raw.quarantined_events")
    (replayed,) = line.query_warehouse("from raw.replayed_events")
    (load,) = line.query_warehouse("from raw.loads where load_seq = 2")
    assert (row["reason"], row["payload"], row["load_seq"]) == ("unknown_type", held.payload, 1)
    assert row["replayed_at"] == replayed["replayed_at"] == load["loaded_at"]
    assert (replayed["fate"], replayed["event_id"], replayed["batch_id"]) == ("loaded", "evt_0001", load["batch_id"])
    assert_explained(line)
    assert quarantine_of(line).replay(Selection()) == ReplayReport()


def test_a_replay_makes_the_row_that_the_event_would_have_made_at_once(tmp_path: Path) -> None:
    """All columns of the event tables are those of an event accepted at the door, but for batch and load."""
    lines = [staged_line("acme", raw, RECEIVED_AT) for raw in BODIES]
    at_once, later = Line(tmp_path / "at_once"), Line(tmp_path / "later")
    at_once.stage_lines(lines)
    later.stage_lines(
        replace(each, outcome="quarantined", reason="contract", occurred_at=None, has_synthetic_id=None)
        for each in lines
    )
    later.load()
    quarantine_of(later).replay(Selection())
    for each in (at_once, later):
        each.load()
    for table in ("click", "conversion", "commission", "payout", "partner"):
        sql = f"select * exclude (batch_id, load_seq) from raw.{table}_events order by event_id"
        assert later.query_warehouse(sql) == at_once.query_warehouse(sql)


def test_what_does_not_fit_stays_and_is_counted_by_todays_reason(line: Line) -> None:
    """Whatever is no event today either waits on, byte for byte, with the reason it had."""
    odd = replace(
        quarantined(b"?", "malformed_json"), payload=None, payload_base64=base64.b64encode(b"\xff\0").decode()
    )
    line.stage_lines([quarantined(UNKNOWN), quarantined(b"[]", "contract"), odd, quarantined(BODIES[5])])
    line.load()
    staying = "from raw.quarantined_events where event_id is distinct from 'evt_0006' order by delivery_id"
    before = line.query_warehouse(staying)
    report = quarantine_of(line).replay(Selection())
    line.load()

    assert (report.examined, report.fitting) == (4, 1)
    assert report.remaining == Counter(unknown_type=1, not_an_object=1, malformed_json=1)
    assert line.query_warehouse(staying) == before
    assert [event.body for event in quarantine_of(line).events(odd.delivery_id)] == [b"\xff\0"]
    assert_explained(line)


def test_a_dry_run_says_the_same_and_stages_nothing(line: Line) -> None:
    """Looking changes neither stage nor warehouse."""
    line.stage_lines([quarantined(BODIES[0]), quarantined(UNKNOWN)])
    line.load()
    dry = quarantine_of(line).replay(Selection(), is_dry_run=True)

    assert line.stage.closed_segments() == []
    assert dry == replace(quarantine_of(line).replay(Selection()), segments=0)


SELECTIONS: dict[str, tuple[Callable[[list[StagedLine]], Selection], list[int]]] = {
    "source": (lambda _: Selection(source_id="zenith"), [2]),
    "type": (lambda _: Selection(event_type="click.tracked"), [1]),
    "reason": (lambda _: Selection(reason="contract"), [1, 2]),
    "delivery": (lambda lines: Selection(delivery_id=lines[0].delivery_id), [0]),
    "all of them": (lambda _: Selection(source_id="acme", reason="contract"), [1]),
    "none": (lambda _: Selection(source_id="acme", delivery_id="nowhere"), []),
}


@pytest.mark.parametrize(("selection", "chosen"), SELECTIONS.values(), ids=SELECTIONS)
def test_only_what_is_selected_is_replayed(
    line: Line, selection: Callable[[list[StagedLine]], Selection], chosen: list[int]
) -> None:
    """All that is given must agree; the others are not even judged."""
    lines = [
        quarantined(BODIES[0]),
        quarantined(BODIES[2], "contract"),
        quarantined(BODIES[1], "contract", source="zenith"),
    ]
    line.stage_lines(lines)
    line.load()
    report = quarantine_of(line).replay(selection(lines))

    assert (report.examined, report.fitting) == (len(chosen), len(chosen))
    staged = [each.delivery_id for segment in line.stage.closed_segments() for each in segment.lines()]
    assert sorted(staged) == sorted(lines[number].delivery_id for number in chosen)


def test_a_replay_staged_twice_is_a_duplicate(line: Line) -> None:
    """After a crash a command may be run again: in one load or in two, the event is one row and the mark the first."""
    line.stage_lines([quarantined(BODIES[0]), quarantined(BODIES[1])])
    line.load()
    for _ in range(2):
        quarantine_of(line).replay(Selection())
    (spare, _) = (segment.path.read_bytes() for segment in line.stage.closed_segments())
    assert line.load().counts == Counts(received=4, loaded=2, duplicate=2)
    marked = line.query_warehouse("from raw.quarantined_events order by delivery_id")
    line.stage_raw(spare)
    assert line.load().counts == Counts(received=2, duplicate=2)

    assert line.query_warehouse("from raw.quarantined_events order by delivery_id") == marked
    assert (len(ids(line)), waiting(line)) == (2, [])
    assert_explained(line)


def test_an_event_that_came_by_another_way_is_no_event_twice(line: Line) -> None:
    """The sender's own retry was loaded first: it gives way, since what waited was received first; nothing waits."""
    other = json.dumps({**json.loads(BODIES[1]), "program_id": "another"}).encode()
    line.stage_lines([quarantined(BODIES[0]), quarantined(BODIES[1])])
    line.load()
    line.stage_bodies([("acme", BODIES[0]), ("acme", other)])
    line.load()
    quarantine_of(line).replay(Selection())
    assert line.load().counts == Counts(received=2, duplicate=2, conflicting=1)

    assert [row["fate"] for row in line.query_warehouse("from raw.replayed_events order by event_id")] == [
        "loaded", "loaded",
    ]  # fmt: skip
    (conflict,) = line.query_warehouse("from raw.event_conflicts")
    assert conflict["payload"] == other.decode()
    assert waiting(line) == []
    assert_explained(line)


ODD = BODIES[2].replace(b'"click":{', b'"click":{"is_bot":"perhaps",')


def header_of_odd(raw: bytes) -> EventHeader:
    """As another reader of JSON might: it takes what no column can hold."""
    return read_event(BODIES[2] if raw == ODD else raw)


def test_what_no_column_can_hold_is_not_staged(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """A replay asks the loader's own reader too, so that it does not come back again and again; nor does its copy."""
    line.stage_lines([quarantined(ODD), quarantined(ODD, after=1), quarantined(BODIES[0])])
    line.load()
    monkeypatch.setattr(pipelines.quarantine, "read_event", header_of_odd)
    report = quarantine_of(line).replay(Selection())

    assert (report.fitting, report.remaining) == (1, Counter(contract=2))
    assert line.load().counts == Counts(received=1, loaded=1)


def test_a_replay_that_no_column_can_hold_leaves_its_row_open(line: Line) -> None:
    """Staged all the same, by a newer version perhaps, it is a duplicate of what waits, however often it comes."""
    held = quarantined(ODD)
    replay = replace(
        held, outcome="accepted", reason=None, is_delivery=False, is_replay=True,
        occurred_at="2026-06-01T10:00:00.000000Z", has_synthetic_id=False,
    )  # fmt: skip
    line.stage_lines([held])
    line.load()
    for _ in range(2):
        line.stage_lines([replay])
        assert line.load().counts == Counts(received=1, duplicate=1)

    assert waiting(line) == [(held.delivery_id, 0)]
    assert line.query_warehouse("from raw.replayed_events") == []
    assert_explained(line)


def test_an_event_without_an_id_gets_the_id_it_would_have_got_at_the_door(line: Line) -> None:
    """The id is of the body as sent, also where personal data was taken out of what is kept."""
    without = {name: value for name, value in json.loads(BODIES[0]).items() if name != "id"}
    kept = json.dumps(without).encode()
    held = replace(quarantined(kept), body_sha256="ab" * 32)
    line.stage_lines([held])
    line.load()
    quarantine_of(line).replay(Selection())
    line.load()

    (event,) = line.query_warehouse("from raw.partner_events")
    assert (event["event_id"], event["has_synthetic_id"]) == (f"sha256:{'ab' * 32}", True)
    assert event["body_sha256"] == "ab" * 32


def test_the_events_of_one_delivery_wait_and_are_replayed_each_for_itself(line: Line) -> None:
    """Two places of one delivery are two rows; the one that fits leaves the other where it is."""
    first = quarantined(BODIES[0])
    second = replace(quarantined(UNKNOWN), delivery_id=first.delivery_id, position=1, is_delivery=False)
    line.stage_lines([first, second])
    assert line.load().counts == Counts(received=2, quarantined=2)
    quarantine_of(line).replay(Selection())
    line.load()

    assert waiting(line) == [(first.delivery_id, 1)]
    assert [event.position for event in quarantine_of(line).events(first.delivery_id)] == [0, 1]
    assert [event.payload for event in quarantine_of(line).events(first.delivery_id, 1)] == [UNKNOWN.decode()]
    assert len(line.query_warehouse("from raw.deliveries")) == 1
    assert_explained(line)


def test_a_copy_of_a_quarantined_line_is_a_duplicate(line: Line) -> None:
    """A segment that comes back under another name adds no row and no unexplained line, in one load or in two."""
    segment = line.stage_lines([quarantined(BODIES[0]), quarantined(b"{", "malformed_json")])
    line.stage_raw(segment.read_bytes())
    assert line.load().counts == Counts(received=4, quarantined=2, duplicate=2)
    copy, _ = Archive(line.root / "archive").segments()
    line.stage_lines(copy.lines())
    assert line.load().counts == Counts(received=2, duplicate=2)
    assert_explained(line)


def test_a_large_quarantine_goes_in_portions(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """However little is taken at a time, everything is judged once, and staged."""
    monkeypatch.setattr(pipelines.quarantine, "PORTION_BYTES", 1)
    monkeypatch.setattr(pipelines.duckdb_warehouse, "_FETCHED_ROWS", 2)
    line.stage_lines(quarantined(raw) for raw in BODIES[:4])
    line.load()
    report = quarantine_of(line).replay(Selection())

    assert report == ReplayReport(examined=4, fitting=4, segments=4)
    assert line.load().counts == Counts(received=4, loaded=4)
    assert waiting(line) == []


def _state(line: Line) -> dict[str, Any]:
    """What must not depend on the order of loads."""
    return {
        "events": ids(line),
        "waiting": waiting(line),
        "quarantine": line.query_warehouse(
            "select * exclude (replayed_at, load_seq, batch_id), replayed_at is null "
            "from raw.quarantined_events order by delivery_id"
        ),
    }


def test_the_archive_alone_gives_the_same_quarantine_in_any_order(line: Line, tmp_path: Path) -> None:
    """Loaded anew, with the replay before what it replays or beside it, the same rows wait."""
    line.stage_lines([quarantined(BODIES[0]), quarantined(UNKNOWN), quarantined(BODIES[5])])
    line.load()
    quarantine_of(line).replay(Selection(event_type="partner.registered"))
    line.load()
    segments = [
        b"".join(each.encode() for each in segment.lines()) for segment in Archive(line.root / "archive").segments()
    ]
    for number, order in enumerate((segments[::-1], [b"".join(segments[::-1])])):
        again = Line(tmp_path / str(number))
        for content in order:
            again.stage_raw(content)
            again.load()
            assert_explained(again)
        assert _state(again) == _state(line)


@pytest.mark.parametrize(
    "point",
    [
        pytest.param("some tables inserted", marks=pytest.mark.slow),
        "package done, not committed",
        "committed, nothing released",
    ],
)
def test_a_load_of_replays_killed_is_made_up_for_by_the_next(tmp_path: Path, point: str) -> None:
    """Wherever the loader died, afterwards the events are there once, their rows are marked, and all is counted."""
    line = Line(tmp_path)
    line.stage_lines([quarantined(BODIES[0]), quarantined(BODIES[5]), quarantined(UNKNOWN)])
    line.load()
    quarantine_of(line).replay(Selection())
    load_and_die(tmp_path, point)
    line = Line(tmp_path)
    line.load()

    assert ids(line) == [("acme", "evt_0001"), ("acme", "evt_0006")]
    assert len(waiting(line)) == 1
    assert len(line.query_warehouse("from raw.replayed_events")) == 2
    assert len(archived(line)) == 2
    assert_explained(line)


def test_a_warehouse_made_by_an_earlier_version_is_taken_on(line: Line) -> None:
    """What waited before there were positions and replays can be listed, replayed and marked."""
    held = quarantined(BODIES[0])
    line.stage_lines([held])
    line.load()
    with duckdb.connect(line.warehouse.database) as connection:
        connection.execute("delete from raw._dlt_version")
        for table in ("replayed_events", "displaced_events", "_event_keys"):
            connection.execute(f"drop table raw.{table}")
        for column in ("position", "replayed_at"):
            connection.execute(f"alter table raw.quarantined_events drop column {column}")
    shutil.rmtree(line.root / "state")

    assert [group.open for group in quarantine_of(line).groups()] == [1]
    with line.warehouse.session() as session:
        assert session.last_load_seq() == 1
    assert quarantine_of(line).replay(Selection()).fitting == 1
    line.stage_lines([quarantined(UNKNOWN)])
    assert line.load().counts == Counts(received=2, loaded=1, quarantined=1)
    (row,) = line.query_warehouse("from raw.quarantined_events where replayed_at is not null")
    assert (row["delivery_id"], row["position"]) == (held.delivery_id, 0)
    assert_explained(line)
