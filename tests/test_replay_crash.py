"""A replay killed between two instructions: the same call again brings the rest, and nothing is lost or doubled."""

import shutil
from pathlib import Path

import pytest

import pipelines.load
from pipelines.raw_tables import RAW_TABLES
from tests.killed_process import Point, run_and_die
from tests.line import BareLine, Line
from tests.postgres_line import PostgresLine
from tests.postgres_server import PROGRAMS, PostgresServer
from tests.test_quarantine import BODIES, assert_explained, quarantined
from tests.test_replay import OTHER_ID, RENAMED, UNFIT, raw_rows, replayed, stage_programme

WHEN_AND_WHERE = ("load_seq", "loaded_at", "replayed_at", "batch_id")
"""What of a row says only which load brought it, and when."""

POINTS: dict[str, Point] = {
    "nothing compared": ("pipelines.replay:recount", 1),
    "rows removed, none added": ("pipelines.duckdb_warehouse:DuckDBSession.add_rows", 1),
    "rows replaced, not committed": ("duckdb:DuckDBPyConnection.commit", 2),
    "two portions committed, the third not": ("pipelines.replay:recount", 3),
    "everything read, status not written": ("pipelines.replay:write_status", 1),
    "staged out of quarantine, not loaded": ("pipelines.load:Loader.load", 1),
    "loaded, not released": ("ingest.staging:Stage.release", 1),
}
ANEW: dict[str, Point] = {
    "tables made, nothing read": ("pipelines.replay:prepare_batch", 1),
    "some tables inserted": ("dlt.common.storages.load_package:PackageStorage.save_pending_transition", 10),
    "two portions committed, the third read": ("pipelines.batches:PreparedBatch.settle", 3),
    "everything loaded, status not written": ("pipelines.replay:write_status", 1),
}
ON_POSTGRES: dict[str, Point] = {
    "rows removed, none added": ("pipelines.postgres_warehouse:PostgresSession.add_rows", 1),
    "some tables changed, not all": ("pipelines.postgres_warehouse:PostgresSession.remove_rows", 3),
    "two portions committed, the third not": ("pipelines.replay:recount", 3),
}
QUICK = {
    "rows replaced, not committed",
    "two portions committed, the third not",
    "staged out of quarantine, not loaded",
}


def quick(points: dict[str, Point], names: set[str]) -> list[object]:
    """The parameters: *points* by name, those that are not among *names* slow."""
    return [name if name in names else pytest.param(name, marks=pytest.mark.slow) for name in points]


def tell(line: BareLine) -> None:
    """Load the programme, and one event more that was not understood and is by now."""
    stage_programme(line)
    line.stage_lines([quarantined(BODIES[5], after=1)])
    line.load()


def replay_all(line: BareLine) -> None:
    """Replay by corrected mappings."""
    replayed(line, RENAMED, UNFIT, OTHER_ID)


def replay_in_portions(line: BareLine) -> None:
    """The same, a segment at a time, in a process that dies of it."""
    pipelines.load.LOAD_SEGMENTS = 1
    replay_all(line)


def replay_line_at(root: Path) -> None:
    replay_in_portions(Line(root))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    line = Line(tmp_path_factory.mktemp("told"))
    tell(line)
    return line.root


def copied(root: Path, to: Path) -> Line:
    shutil.copytree(root, to, symlinks=True)
    return Line(to)


@pytest.fixture(scope="module")
def corrected(told: Path, tmp_path_factory: pytest.TempPathFactory) -> Line:
    """What a replay leaves that nothing comes in the way of."""
    line = copied(told, tmp_path_factory.mktemp("corrected") / "line")
    replay_all(line)
    assert raw_rows(line) != raw_rows(Line(told))
    return line


def assert_made_up_for(line: BareLine, expected: BareLine, *without: str) -> None:
    """A loader, then the replay again: row for row what *expected* has but for tables *without*, nothing left over."""
    line.load()
    replay_all(line)
    held, wanted = (raw_rows(each, *WHEN_AND_WHERE) for each in (line, expected))
    for table in RAW_TABLES.keys() - {*without}:
        assert held[table] == wanted[table], table
    assert line.stage.closed_segments() == []
    assert [path for path in line.root.rglob("*") if path.suffix in {".new", ".tmp"}] == []
    assert not any((line.root / "state" / "scratch").rglob("*"))
    assert_explained(line)


@pytest.mark.parametrize("point", quick(POINTS, QUICK))
def test_a_killed_replay_is_made_up_for_by_the_next(told: Path, corrected: Line, tmp_path: Path, point: str) -> None:
    """Wherever it died, the next one ends where an undisturbed one does."""
    line = copied(told, tmp_path / "line")
    run_and_die(POINTS[point], replay_line_at, line.root)
    assert_made_up_for(line, corrected)


@pytest.mark.parametrize("point", quick(ANEW, set()))
def test_a_warehouse_made_by_half_becomes_a_whole_one(told: Path, tmp_path: Path, point: str) -> None:
    """Killed while an empty warehouse is made from the archive, the next replay makes the rest of it."""
    line, expected = Line(tmp_path / "line"), Line(tmp_path / "expected")
    for each in (line, expected):
        shutil.copytree(told / "archive", each.root / "archive")
    replay_all(expected)
    run_and_die(ANEW[point], replay_line_at, line.root)
    # What gave way within one load was never loaded, and so depends on what the portions were.
    assert_made_up_for(line, expected, "displaced_events", "loads")


@pytest.mark.slow
@pytest.mark.skipif(PROGRAMS is None, reason="PostgreSQL is not installed here")
@pytest.mark.parametrize("point", ON_POSTGRES)
def test_a_killed_replay_is_made_up_for_on_a_server(
    server: PostgresServer, told: Path, tmp_path: Path, point: str
) -> None:
    """The same promise where the warehouse outlives the process that wrote to it."""
    line = PostgresLine(tmp_path / "line", server, server.make_database())
    shutil.copytree(told / "archive", line.root / "archive")
    replayed(line)
    run_and_die(ON_POSTGRES[point], replay_in_portions, line, start="fork")
    expected = Line(tmp_path / "expected")
    shutil.copytree(told / "archive", expected.root / "archive")
    replayed(expected)
    replay_all(expected)
    assert_made_up_for(line, expected)
