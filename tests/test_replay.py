"""The archive alone makes the warehouse anew, and read again it changes just what reads otherwise today."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from hookmart.commands import app
from ingest.archive import Archive, damage_of
from ingest.staging import StagedLine
from models.columns import EVENT_COLUMNS
from pipelines.batches import Amendment
from pipelines.quarantine import Quarantine, Selection
from pipelines.raw_tables import RAW_TABLES
from pipelines.replay import ArchiveReplay, ReplayReport, ReplaySelection
from tests.line import RECEIVED_AT, BareLine, Line, staged_line
from tests.oracle_events import body
from tests.programmes import random_programme
from tests.test_quarantine import BODIES, UNKNOWN, assert_explained, quarantined, waiting
from tests.test_quarantine_order import replay_of

POSTS = random_programme(5, partners=3, conversions=3, payouts=2, clicks=2)
CONFLICT = {**POSTS[4], "data": {**POSTS[4]["data"], "note": "another body"}}


def refused(after: int) -> StagedLine:
    """The line of a request that was turned away."""
    line = staged_line("acme", b"{", RECEIVED_AT + timedelta(seconds=after))
    return replace(line, outcome="refused", status_code=401, reason="bad_signature", payload=None, body_sha256=None)


def stage_programme(line: BareLine) -> None:
    """Three loads: duplicates, two bodies of one id, the earlier one later, what waits, what is refused, a replay."""
    late = RECEIVED_AT + timedelta(days=2)
    half = len(POSTS) // 2
    line.stage_lines(staged_line(post["source"], body(post), late) for post in [CONFLICT, *POSTS[10:12]])
    line.stage_lines([quarantined(BODIES[0]), quarantined(UNKNOWN), refused(1)])
    line.load()
    line.stage_posts(POSTS[:half], segments=2)
    line.stage_lines([refused(2)])
    line.load()
    Quarantine(line.warehouse, line.stage).replay(Selection())
    line.stage_posts([*POSTS[half:], *POSTS[:5]])
    line.load()


def replayed(line: BareLine, *amendments: Amendment, is_dry_run: bool = False, **chosen: Any) -> ReplayReport:
    """Replay the archive of *line*, with a loader that amends what it reads."""
    loader = replace(line.loader, amendments=amendments)
    quarantine = Quarantine(line.warehouse, line.stage)
    return ArchiveReplay(loader, quarantine, is_dry_run=is_dry_run).replay(ReplaySelection(**chosen))


def raw_rows(line: BareLine, *without: str) -> dict[str, list[str]]:
    """All rows of `raw`, each as text, without the columns named."""
    return {
        table: sorted(
            repr(sorted((name, value) for name, value in row.items() if name not in without))
            for row in line.query_warehouse(f"select * from raw.{table}")
        )
        for table in RAW_TABLES
    }


OF_THE_LOADS = ("load_seq", "loaded_at", "replayed_at")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Line:
    """A line that was told the programme, and built."""
    line = Line(tmp_path_factory.mktemp("told"))
    stage_programme(line)
    line.build()
    return line


@pytest.fixture
def line(told: Line, tmp_path: Path) -> Line:
    """A copy of it."""
    shutil.copytree(told.root, tmp_path / "line", symlinks=True)
    return Line(tmp_path / "line")


def test_raw_and_marts_come_out_of_the_archive_alone(told: Line, line: Line) -> None:
    """Without warehouse and state, a replay gives the same rows everywhere, but for which load brought them."""
    line.warehouse.database.unlink()
    line.warehouse.database.with_name("warehouse.duckdb.wal").unlink(missing_ok=True)
    shutil.rmtree(line.root / "state")
    report = replayed(line)

    # Of what gave way, only its conflict is left: loaded together, the first received is the only one ever loaded.
    before, after = raw_rows(told, *OF_THE_LOADS), raw_rows(line, *OF_THE_LOADS)
    assert before.pop("displaced_events") != after.pop("displaced_events")
    assert before.pop("loads") != after.pop("loads")
    assert after == before
    assert report.loaded == sum(len(before[table]) for table in EVENT_COLUMNS)
    assert report.segments == len(Archive(line.root / "archive").segments())
    assert_explained(line)
    line.build()
    assert line.marts() == told.marts()


def test_what_the_warehouse_has_stays_as_it_is(told: Line, line: Line) -> None:
    """A replay of everything changes no row, no count and no place of a load, and makes no build due."""
    received = sum(row["received"] for row in line.query_warehouse("select received from raw.loads"))
    report = replayed(line)

    assert raw_rows(line) == raw_rows(told)
    assert (report.loaded, report.changed, report.removed, report.released) == (0, 0, 0, 0)
    assert report.counts.received == received
    assert_explained(line)
    assert not line.build().is_new


def correct(sql: str) -> Amendment:
    """A mapping, as far as a replay can tell: *sql* over the lines."""

    def amend(reader: duckdb.DuckDBPyConnection) -> None:
        reader.execute(sql)

    return amend


RENAMED = correct("update lines set payload = replace(payload, '\"ptn_', '\"partner_') where outcome = 'accepted'")
UNFIT = correct(f"""
    update lines set payload = replace(payload, '"type":', '"livemode":"perhaps","type":')
    where outcome = 'accepted' and event_id = $${POSTS[7]["id"]}$$
""")
OTHER_ID = correct(f"update lines set event_id = 'other' where event_id = $${POSTS[1]['id']}$$")


@pytest.mark.slow
def test_a_corrected_mapping_reaches_what_was_loaded(line: Line, tmp_path: Path) -> None:
    """What reads otherwise is replaced, moves or goes; the warehouse is what it would be if made anew that way."""
    again = Line(tmp_path / "again")
    shutil.copytree(line.root / "archive", again.root / "archive")
    corrected = (RENAMED, UNFIT, OTHER_ID)
    replayed(again, *corrected)
    report = replayed(line, *corrected)

    assert report.changed > len(POSTS) // 2
    assert (report.loaded, report.removed) == (2, 3), "an id that is another, of two sources; and an event that is none"
    for table in EVENT_COLUMNS:
        assert raw_rows(line, *OF_THE_LOADS)[table] == raw_rows(again, *OF_THE_LOADS)[table]
    assert waiting(line) == waiting(again)
    assert_explained(line)
    once = raw_rows(line)
    report = replayed(line, *corrected)
    assert (report.changed, report.removed) == (0, 0)
    assert raw_rows(line) == once
    with line.warehouse.session() as session:
        build = session.last_build()
    assert build is not None
    assert build.fingerprint is None, "the next build would not look at everything"


def test_what_waited_and_fits_today_is_loaded_and_marked(tmp_path: Path) -> None:
    """As by a replay of the quarantine: one more line received, the row stays, and only what was asked for."""
    line = Line(tmp_path)
    held = quarantined(BODIES[0])
    line.stage_lines([held, quarantined(UNKNOWN)])
    line.load()
    assert replayed(line, source_id="zenith").released == 0
    assert replayed(line, is_dry_run=True).released == 1
    assert len(waiting(line)) == 2
    assert replayed(line).released == 1

    assert len(waiting(line)) == 1
    assert line.query_warehouse("select fate from raw.replayed_events") == [{"fate": "loaded"}]
    assert_explained(line)
    assert replayed(line).counts.received == 3
    assert_explained(line)


@pytest.mark.slow
def test_a_replay_that_no_longer_fits_waits_again(tmp_path: Path) -> None:
    """An event that a corrected mapping takes back out of its table is open in quarantine once more, not lost."""
    line = Line(tmp_path)
    held = quarantined(BODIES[0], after=1)
    line.stage_lines([held])
    line.load()
    line.stage_lines([replay_of(held)])
    line.load()
    assert waiting(line) == []
    spoilt = correct("update lines set event_type = 'unheard.of' where is_replay")
    replay = ArchiveReplay(replace(line.loader, amendments=(spoilt,)), Quarantine(line.warehouse, line.stage), True)
    assert replay.replay(ReplaySelection()).removed == 1
    replay.is_dry_run = False
    replay.replay(ReplaySelection(source_id="acme", until=datetime(2000, 1, 1)))
    assert waiting(line) == []
    replay.replay(ReplaySelection())

    assert waiting(line) == [(held.delivery_id, 0)]
    assert_explained(line)


@pytest.mark.slow
def test_a_source_and_a_stretch_of_time_are_replayed_by_themselves(line: Line, tmp_path: Path) -> None:
    """Into an empty warehouse comes what was asked for; the rest comes later, and is counted once."""
    again = Line(tmp_path / "again")
    shutil.copytree(line.root / "archive", again.root / "archive")
    assert replayed(again, since=datetime(2030, 1, 1)).counts.received == 0
    replayed(again, source_id="acme", until=(RECEIVED_AT + timedelta(days=1)).replace(tzinfo=None))
    sources = again.query_warehouse(
        "select distinct source_id, max(received_at)::date as day from raw.deliveries group by 1"
    )
    assert [row["source_id"] for row in sources] == ["acme"]
    replayed(again)
    for table in EVENT_COLUMNS:
        assert raw_rows(again, *OF_THE_LOADS)[table] == raw_rows(line, *OF_THE_LOADS)[table]
    assert_explained(again)


def test_a_damaged_file_is_named_and_the_others_are_read(line: Line) -> None:
    """A file cut short is no shorter segment: it is left out, and the exit code says so; plain files are read too."""
    first, second, *_ = Archive(line.root / "archive").segments()
    first.path.write_bytes(first.path.read_bytes()[:-7])
    plain = b"".join(each.encode() for each in second.lines())
    second.path.unlink()
    second.path.with_name(f"{second.batch_id}.jsonl").write_bytes(plain)
    first, second, *_ = Archive(line.root / "archive").segments()
    assert damage_of(first)
    assert damage_of(second) is None
    (line.root / "hookmart.toml").write_text(
        '[stage]\nurl = "stage"\n[warehouse]\ndatabase = "warehouse.duckdb"\npublish = "published"\n'
    )
    told = CliRunner().invoke(
        app, ["replay", "--config", str(line.root / "hookmart.toml"), "--json", "--since", "2020-01-01"]
    )
    document = json.loads(told.stdout.splitlines()[-1])
    assert (told.exit_code, document["damaged"]) == (1, first.path.name)
    assert document["segments"] == len(Archive(line.root / "archive").segments()) - 1
    assert (document["new"], document["changed"], document["removed"]) == (0, 0, 0)


@pytest.mark.parametrize("given", ["yesterday", "2026-13-01"])
def test_a_time_that_is_none_is_wrong_usage(line: Line, given: str) -> None:
    """Exit code 2, and a sentence that says how a time is written."""
    told = CliRunner().invoke(app, ["replay", "--config", str(line.root / "hookmart.toml"), "--since", given])
    assert told.exit_code == 2
    assert "neither a date" in told.output


def test_old_days_of_the_archive_go_where_that_is_configured(tmp_path: Path) -> None:
    """By the name of their directory, after a load, and said in a line; without the setting nothing ever goes."""
    line = Line(tmp_path)
    now = datetime(2026, 11, 28, 1, tzinfo=UTC)
    for day in ("2026-11-19", "2026-11-20", "2026-11-21", "notes"):
        (tmp_path / "archive" / day).mkdir(parents=True)
    line.load()
    assert len(list((tmp_path / "archive").iterdir())) == 4
    lines: list[str] = []
    loader = replace(line.loader, archive_days=7, now=lambda: now, notice=lines.append)
    loader.load()
    loader.load()
    assert sorted(path.name for path in (tmp_path / "archive").iterdir()) == ["2026-11-21", "notes"]
    assert lines == ["archive: removed 2 days up to 2026-11-20, kept are 7 days"]
