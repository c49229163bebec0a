"""The loader on a real warehouse: each event once, every line accounted for, whatever fails or is in the way."""

import json
import random
import sys
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import dlt
import pytest
import zstandard

from ingest.archive import Archive
from ingest.staging import ARCHIVED
from models.columns import EVENT_COLUMNS, Kind
from pipelines.batches import Counts
from pipelines.errors import DiskFullError
from pipelines.load_memory import DEFAULT_MEMORY, LoadMemory
from pipelines.status import read_status
from tests.held_warehouse import impatient
from tests.line import RECEIVED_AT, BareLine, Line, fixture_bodies, staged_line
from tests.oracle_events import body
from tests.programmes import mutate_delivery, random_programme

FIXTURES = Path(__file__).parent / "fixtures" / "events"
EXAMPLES = [("acme", raw) for raw in fixture_bodies(FIXTURES)]
POSTS = random_programme(5, partners=3, conversions=6, payouts=3, clicks=3)


def ids(line: BareLine) -> list[tuple[str, str]]:
    """Source and id of every row of every event table, sorted."""
    found = [line.query_warehouse(f"select source_id, event_id from raw.{table}") for table in EVENT_COLUMNS]
    return sorted((row["source_id"], row["event_id"]) for rows in found for row in rows)


def distinct_ids(posts: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Source and id of every event of *posts*, as the receiver would stage it."""
    lines = [staged_line(post["source"], body(post), RECEIVED_AT) for post in posts]
    return sorted({(each.source_id, each.event_id or "") for each in lines})


def ledger(line: BareLine) -> list[dict[str, Any]]:
    """The ledger of loads by source and day received."""
    return line.query_warehouse(
        "select source_id, received_date, "
        "sum(received) as received, sum(loaded) as loaded, sum(duplicate) as duplicate, "
        "sum(conflicting) as conflicting, sum(quarantined) as quarantined, sum(refused) as refused "
        "from raw.loads group by source_id, received_date order by source_id, received_date"
    )


def assert_accounted_for(line: BareLine) -> None:
    """What was received is loaded, duplicate, quarantined or refused, and `raw` holds just as many rows."""
    for row in ledger(line):
        assert row["received"] == row["loaded"] + row["duplicate"] + row["quarantined"] + row["refused"]
    rows = {
        "loaded": len(ids(line)),
        "quarantined": len(line.query_warehouse("select * from raw.quarantined_events")),
        "refused": len(line.query_warehouse("select * from raw.deliveries where outcome = 'refused'")),
    }
    assert {name: sum(row[name] for row in ledger(line)) for name in rows} == rows
    batches = line.query_warehouse("select batch_id, source_id, received_date from raw.loads")
    assert len(batches) == len({tuple(row.values()) for row in batches})
    deliveries = line.query_warehouse("select delivery_id from raw.deliveries")
    assert len(deliveries) == sum(row["received"] for row in ledger(line))
    assert {source.unexplained for source in read_status(line.root / "state").sources.values()} == {0}


def archived(line: BareLine) -> list[str]:
    """Names in the archive."""
    return sorted(segment.batch_id for segment in Archive(line.root / "archive").segments())


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line(tmp_path)


def test_an_empty_stage_makes_the_tables_and_nothing_else(line: Line) -> None:
    """Before the first event every raw table is there to be queried, and loading again is no load."""
    for _ in range(2):
        report = line.load()
        assert (report.loads, report.segments, report.counts) == (0, 0, Counts())
    assert ids(line) == []
    assert line.query_warehouse("from raw.loads") == []


def test_loading_twice_is_loading_once(line: Line) -> None:
    """A second load of the same stage finds nothing to do; the same events in new segments are duplicates."""
    line.stage_bodies(EXAMPLES)
    assert line.load().counts == Counts(received=18, loaded=18)
    assert line.load().segments == 0
    for half in (EXAMPLES[:9], EXAMPLES[9:]):
        line.stage_bodies(half)
    report = line.load()

    assert (report.loads, report.segments, report.counts) == (1, 2, Counts(received=18, duplicate=18))
    assert ids(line) == sorted(("acme", json.loads(raw)["id"]) for _, raw in EXAMPLES)
    assert_accounted_for(line)


def test_shuffled_repeated_and_split_events_are_loaded_once(line: Line) -> None:
    """However a programme arrives, each event is one row and each line is counted."""
    received = 0
    for batch in mutate_delivery(POSTS, random.Random(3), duplicates=0.4, batches=3):
        line.stage_posts(batch, segments=2)
        received += len(batch)
        line.load()

    assert ids(line) == distinct_ids(POSTS)
    assert sum(row["received"] for row in ledger(line)) == received
    assert_accounted_for(line)


def test_the_first_body_stays_and_the_other_is_kept_once(line: Line) -> None:
    """Another body under a known id changes no row; it waits in raw.event_conflicts, however often it comes."""
    event = json.loads(EXAMPLES[0][1])
    other = json.dumps({**event, "program_id": "another"}).encode()
    line.stage_bodies([EXAMPLES[0]])
    line.load()
    before = line.query_warehouse("from raw.partner_events")
    for _ in range(2):
        line.stage_bodies([("acme", other), ("acme", other)])
        assert line.load().counts == Counts(received=2, duplicate=2, conflicting=2)

    assert line.query_warehouse("from raw.partner_events") == before
    (conflict,) = line.query_warehouse("from raw.event_conflicts")
    assert (conflict["event_id"], conflict["payload"]) == (event["id"], other.decode())
    assert conflict["kept_body_sha256"] == before[0]["body_sha256"]
    assert_accounted_for(line)


def test_what_is_not_loaded_is_kept_apart_and_counted(line: Line) -> None:
    """Quarantined events wait with their bytes and reason; refused requests leave a delivery and nothing more."""
    refused = replace(
        staged_line("acme", b"x", RECEIVED_AT),
        outcome="refused", status_code=401, reason="bad_signature", payload=None, body_sha256=None, secret_name=None,
    )  # fmt: skip
    unknown = json.dumps({**json.loads(EXAMPLES[0][1]), "type": "partner.promoted"}).encode()
    line.stage_bodies([EXAMPLES[0], ("acme", b"{"), ("zenith", unknown)])
    line.stage_lines([refused])
    assert line.load().counts == Counts(received=4, loaded=1, quarantined=2, refused=1)

    held = line.query_warehouse("select source_id, reason, payload from raw.quarantined_events order by source_id")
    assert held == [
        {"source_id": "acme", "reason": "malformed_json", "payload": "{"},
        {"source_id": "zenith", "reason": "unknown_type", "payload": unknown.decode()},
    ]
    (delivery,) = line.query_warehouse("from raw.deliveries where outcome = 'refused'")
    assert (delivery["status_code"], delivery["reason"], delivery["event_id"]) == (401, "bad_signature", None)
    assert [(row["source_id"], row["received"], row["refused"]) for row in ledger(line)] == [
        ("acme", 3, 1), ("zenith", 1, 0),
    ]  # fmt: skip
    assert_accounted_for(line)


def test_load_seq_grows_by_one_with_every_load(line: Line) -> None:
    """Rows carry the place of their load; a call that loads nothing takes no place."""
    for raw in EXAMPLES[:3]:
        line.stage_bodies([raw])
        line.load()
        line.load()

    assert line.query_warehouse("select load_seq from raw.loads order by 1") == [{"load_seq": n} for n in (1, 2, 3)]
    found = line.query_warehouse("select event_id, load_seq from raw.partner_events order by load_seq")
    assert [row["load_seq"] for row in found] == [1, 2]


@pytest.mark.parametrize(
    "memory", [DEFAULT_MEMORY, 2 * DEFAULT_MEMORY], ids=["one after another", "one read while another is loaded"]
)
def test_a_backlog_is_loaded_in_portions(line: Line, monkeypatch: pytest.MonkeyPatch, memory: int) -> None:
    """What does not fit one load is several, in order, and an event repeated across them is still loaded once."""
    monkeypatch.setattr("pipelines.load.LOAD_SEGMENTS", 1)
    for raw in (EXAMPLES[0], EXAMPLES[1], EXAMPLES[0]):
        line.stage_bodies([raw])
    report = replace(line.loader, memory=LoadMemory(memory)).load()

    assert (report.loads, report.segments, report.counts) == (3, 3, Counts(received=3, loaded=2, duplicate=1))
    assert_accounted_for(line)


def test_a_released_segment_stands_in_the_archive_and_nowhere_else(line: Line) -> None:
    """After a load the stage is empty and the archive holds the very bytes."""
    path = line.stage_bodies(EXAMPLES)
    content = path.read_bytes()
    line.load()

    (copy,) = (line.root / "archive").rglob(f"*{ARCHIVED}")
    assert copy.name == path.stem + ARCHIVED
    assert zstandard.decompress(copy.read_bytes()) == content
    assert line.stage.closed_segments() == []


def test_columns_have_the_documented_types(line: Line) -> None:
    """Instants are timestamps without a zone, money is decimal(28, 8), and nothing is a float but response_ms."""
    line.load()
    columns = line.query_warehouse(
        "select table_name, column_name, data_type from information_schema.columns "
        "where table_schema = 'raw' and table_name not like '\\_dlt%' escape '\\'"
    )
    found = {(row["table_name"], row["column_name"]): row["data_type"] for row in columns}
    expected = {
        Kind.MONEY: "DECIMAL(28,8)", Kind.MONEY_SUM: "DECIMAL(28,8)", Kind.DECIMAL: "DECIMAL(38,18)",
        Kind.INTEGER: "BIGINT", Kind.BOOLEAN: "BOOLEAN", Kind.TIMESTAMP: "TIMESTAMP", Kind.DATE: "DATE",
    }  # fmt: skip

    for table, own in EVENT_COLUMNS.items():
        for column in own:
            assert found[table, column.name] == expected.get(column.kind, "VARCHAR"), f"{table}.{column.name}"
        assert found[table, "occurred_at"] == found[table, "received_at"] == "TIMESTAMP"
    assert found["loads", "loaded_at"] == found["deliveries", "received_at"] == "TIMESTAMP"
    assert [name for name, kind in found.items() if kind in ("DOUBLE", "FLOAT")] == [("deliveries", "response_ms")]
    assert not [name for name, kind in found.items() if "ZONE" in kind]


def test_values_reach_the_warehouse_exactly(line: Line) -> None:
    """Twenty digits, eight places and the sixth digit of a second survive dlt, Parquet and the merge."""
    event = json.loads(EXAMPLES[7][1])
    event["data"]["commission"]["amount"]["amount"] = "12345678901234567890.12345678"
    event["timestamp"] = "2026-07-01T00:30:00.123456789+02:00"
    line.stage_bodies([("acme", json.dumps(event, ensure_ascii=False).encode())])
    line.load()

    (row,) = line.query_warehouse("from raw.commission_events")
    assert row["amount"] == Decimal("12345678901234567890.12345678")
    assert row["occurred_at"] == datetime(2026, 6, 30, 22, 30, 0, 123456)
    assert row["received_at"] == datetime(2026, 11, 1, 12, 0, 0, 1000)


def test_a_poisoned_segment_is_set_aside_and_the_rest_is_loaded(line: Line) -> None:
    """It is told of, kept as it is under another name, and does not come up again."""
    told: list[str] = []
    line.stage_bodies(EXAMPLES[:2])
    poison = line.stage_raw(b"garbage\n")
    line.stage_bodies(EXAMPLES[2:4])
    report = replace(line.loader, notice=told.append).load()

    assert report.counts == Counts(received=4, loaded=4)
    assert (report.segments, [name for name, _ in report.poisoned]) == (2, [poison.name])
    assert len(told) == 1
    assert poison.name in told[0]
    assert poison.with_suffix(".unreadable").read_bytes() == b"garbage\n"
    assert line.load().poisoned == ()
    assert_accounted_for(line)


def test_the_segments_of_a_receiver_that_died_are_loaded(line: Line) -> None:
    """An open segment that nobody holds is closed, its torn last line cut, and loaded."""
    whole = staged_line("acme", EXAMPLES[0][1], RECEIVED_AT).encode()
    path = line.stage_raw(whole + whole[:40])
    path.rename(path.with_suffix(".open"))

    assert line.load().counts == Counts(received=1, loaded=1)


FAILURES = {
    "before anything is written": (dlt.Pipeline, "normalize"),
    "with rows in the warehouse": (dlt.load.load.Load, "complete_package"),
}


@pytest.mark.parametrize(("owner", "method"), FAILURES.values(), ids=FAILURES)
def test_a_failed_load_releases_nothing_and_the_next_one_makes_up_for_it(
    line: Line, monkeypatch: pytest.MonkeyPatch, owner: type, method: str
) -> None:
    """While the load fails its segments stay staged; afterwards every event is there once, and so is every count."""
    line.load()
    line.stage_posts(POSTS, segments=2)
    staged = [segment.batch_id for segment in line.stage.closed_segments()]

    def fail(*_arguments: object, **_named: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(owner, method, fail)
        for _ in range(2):
            with pytest.raises(DiskFullError, match="during a load"):
                line.load()
            assert [segment.batch_id for segment in line.stage.closed_segments()] == staged
            assert archived(line) == []
    line.load()

    assert ids(line) == distinct_ids(POSTS)
    assert archived(line) == staged
    assert_accounted_for(line)


def test_an_interrupted_load_leaves_nothing_behind(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was under way is dropped, since all of it is staged yet; the next load has it all."""
    line.loader.finish_pending()
    line.load()
    line.stage_bodies(EXAMPLES)
    with monkeypatch.context() as patch:
        patch.setattr(dlt.Pipeline, "normalize", lambda *_arguments, **_named: sys.exit(1))
        with pytest.raises(SystemExit):
            line.load()
    line.stage_bodies([("zenith", EXAMPLES[0][1])])
    line.loader.finish_pending()

    assert ids(line) == []
    assert len(line.stage.closed_segments()) == 2
    assert line.load().counts == Counts(received=len(EXAMPLES) + 1, loaded=len(EXAMPLES) + 1)
    assert_accounted_for(line)


def test_a_file_that_is_no_database_is_not_waited_for(line: Line) -> None:
    """Patience is for locks; any other fault of the warehouse is told at once, and the segment stays staged."""
    line.stage_bodies(EXAMPLES)
    line.warehouse.database.write_bytes(b"this is no database" * 400)
    told: list[str] = []
    with pytest.raises(Exception, match="not a valid DuckDB"):
        impatient(line, told, patience=60).load()

    assert told == []
    assert len(line.stage.closed_segments()) == 1


def test_another_stage_may_be_loaded_by_the_same_process(tmp_path: Path) -> None:
    """Two lines of one process do not see each other's packages."""
    lines = [Line(tmp_path / name) for name in ("a", "b")]
    for line, raw in zip(lines, EXAMPLES, strict=False):
        line.stage_bodies([raw])
    for line in lines:
        line.load()

    assert [ids(line) for line in lines] == [[("acme", "evt_0001")], [("acme", "evt_0002")]]
