"""An erasure killed between two instructions: the same call again does the rest, and no byte names the customer."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mappings.mapping_file import load_mapping
from models.columns import EVENT_COLUMNS
from pipelines.mapped_lines import MappedLines
from tests.killed_process import Point, run_and_die
from tests.line import BareLine, Line
from tests.postgres_line import PostgresLine, sorted_marts
from tests.postgres_server import PROGRAMS, PostgresServer
from tests.test_erase import (
    CUSTOMER,
    EXTERNAL,
    IDS,
    SPOILT,
    STAGED,
    WAITING,
    commission,
    erasure_of,
    files_with,
    staged,
    tell,
)
from tests.test_erase_warehouses import WHO, places_of
from tests.test_quarantine import assert_explained
from tests.test_replay import OF_THE_LOADS, raw_rows, replayed

PLATFORMS = Path(__file__).parent / "fixtures" / "platforms"

POINTS: dict[str, Point] = {
    "archive half rewritten": ("ingest.archive:write_whole", 2),
    "archive rewritten, warehouse not": ("pipelines.erasure:_clean_raw", 1),
    "rows removed, none added": ("pipelines.duckdb_warehouse:DuckDBSession.add_rows", 1),
    "one table cleaned": ("pipelines.duckdb_warehouse:DuckDBSession.remove_rows", 2),
    "all tables cleaned but for one": ("pipelines.duckdb_warehouse:DuckDBSession.remove_rows", 4),
    "events cleaned, days of players not": ("pipelines.erasure:_clean_activity", 1),
    "warehouse cleaned, marts as they were": ("pipelines.build:Builder.build", 1),
    "older generations still there": ("pipelines.erasure:remove_others", 1),
    "warehouse copied, the copy not in its place": ("pipelines.duckdb_warehouse:sync_file", 1),
    "the copy in its place, not told so": ("pipelines.duckdb_warehouse:sync_file", 2),
}
ON_POSTGRES: dict[str, Point] = {
    "rows removed, none added": ("pipelines.postgres_warehouse:PostgresSession.add_rows", 1),
    "all tables cleaned but for one": ("pipelines.postgres_warehouse:PostgresSession.remove_rows", 4),
}
QUICK = {"all tables cleaned but for one"}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The customer everywhere, and the external ids by themselves in what is somebody else's."""
    line = Line(tmp_path_factory.mktemp("told"))
    line.stage_lines([staged(of_another())])
    tell(line, builds=1)
    return line.root


def of_another() -> dict[str, Any]:
    """A commission of another customer, whose note is about this one."""
    event = commission(3, "cus_other")
    event["data"]["note"] = [EXTERNAL, WAITING, SPOILT, STAGED]
    return event


def erase_from(line: BareLine) -> None:
    erasure_of(line).erase(CUSTOMER, ["acme"])


def erase_at(root: Path) -> None:
    erase_from(Line(root))


@pytest.mark.parametrize(
    "point", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in POINTS]
)
def test_a_killed_erasure_is_made_up_for_by_the_next(told: Path, tmp_path: Path, point: str) -> None:
    """Wherever it died: the id and the external ones are in no file, and events and money are all there, once."""
    shutil.copytree(told, tmp_path / "line", symlinks=True)
    line = Line(tmp_path / "line")
    before, numbers = line.marts(), line.query_warehouse("select event_id from raw.commission_events order by all")
    run_and_die(POINTS[point], erase_at, line.root)
    line.load()
    assert (line.root / "archive" / "erasing").exists()
    erase_from(line)

    assert files_with(line.root, *IDS) == []
    assert rows_with(line, *IDS) == []
    assert not (line.root / "archive" / "erasing").exists()
    assert [path for path in line.root.rglob("*") if path.suffix in {".new", ".tmp"}] == []
    assert line.stage.closed_segments() == []
    assert len(list((line.root / "published").glob("*/marts.duckdb"))) == 2, "a generation, and the link to it"
    assert line.query_warehouse("select event_id from raw.commission_events order by all") == numbers
    assert_totals_stand(before, line.marts())
    assert_explained(line)
    report = replayed(line)
    assert (report.loaded, report.changed, report.removed) == (0, 0, 0)


def rows_with(line: Line, *ids: str) -> list[str]:
    """The tables of the warehouse in which one of *ids* stands."""
    tables = line.query_warehouse(
        "select table_schema || '.' || table_name as name from information_schema.tables "
        "where table_type = 'BASE TABLE'"
    )
    found = [(row["name"], repr(line.query_warehouse(f"select * from {row['name']}"))) for row in tables]
    return [name for name, rows in found if any(each in rows for each in ids)]


def assert_totals_stand(before: dict[str, Any], after: dict[str, Any]) -> None:
    """The same money, and the same conversions but for whose they are; one more was staged meanwhile."""
    assert after["commission_ledger"] == before["commission_ledger"]
    told, held = (
        sorted_marts({"conversions": [{k: v for k, v in row.items() if k not in WHO} for row in marts["conversions"]]})
        for marts in (before, after)
    )
    rows = [row for row in held["conversions"] if ("conversion_id", "cnv_8") not in row]
    assert rows == told["conversions"]
    assert len({row["customer_id"] for row in after["conversions"]}) == 2


def mapped(root: Path) -> Line:
    """A line with a source that speaks as Dub does."""
    line = Line(root)
    mapping = MappedLines({"dub": load_mapping("dub", root)})
    line.loader = replace(line.loader, amendments=(mapping,))
    return line


def erase_mapped_at(root: Path) -> None:
    erasure_of(mapped(root)).erase(buyer()["id"], ["dub"])


def buyer() -> dict[str, str]:
    """The customer of the sale that Dub tells of."""
    sale = json.loads((PLATFORMS / "dub" / "sale-created.json").read_bytes())
    customer: dict[str, str] = sale["data"]["customer"]
    return customer


@pytest.mark.slow
def test_what_a_mapping_made_is_read_again_by_the_next(tmp_path: Path) -> None:
    """Killed with the archive rewritten and nothing read again, `raw` says in the end what the archive says."""
    line = mapped(tmp_path / "line")
    bodies = [("dub", path.read_bytes()) for path in sorted((PLATFORMS / "dub").glob("*.json"))]
    line.stage_bodies(bodies)
    line.load()
    assert files_with(line.root, buyer()["id"])
    run_and_die(("pipelines.replay:ArchiveReplay.replay_batches", 1), erase_mapped_at, line.root)
    erase_mapped_at(line.root)

    assert files_with(line.root, buyer()["id"]) == []
    anew = mapped(tmp_path / "anew")
    shutil.copytree(line.root / "archive", anew.root / "archive")
    replayed(anew, *anew.loader.amendments)
    report = replayed(line, *line.loader.amendments)
    assert (report.loaded, report.changed, report.removed) == (0, 0, 0)
    for table in EVENT_COLUMNS:
        assert raw_rows(line, *OF_THE_LOADS)[table] == raw_rows(anew, *OF_THE_LOADS)[table]
    line.stage_bodies(bodies)
    counts = line.load().counts
    assert (counts.loaded, counts.conflicting, counts.duplicate) == (0, 0, counts.received)


@pytest.mark.slow
@pytest.mark.skipif(PROGRAMS is None, reason="PostgreSQL is not installed here")
@pytest.mark.parametrize("point", ON_POSTGRES)
def test_a_killed_erasure_is_made_up_for_on_a_server(server: PostgresServer, tmp_path: Path, point: str) -> None:
    """The same promise where the warehouse outlives the process that wrote to it."""
    line = PostgresLine(tmp_path / "line", server, server.make_database())
    line.stage_lines([staged(of_another())])
    tell(line, builds=1)
    before = line.query("select * from marts.commission_ledger order by 1, 2, 3")
    run_and_die(ON_POSTGRES[point], erase_from, line, start="fork")
    erase_from(line)
    assert places_of(line, server) == []
    assert line.query("select * from marts.commission_ledger order by 1, 2, 3") == before
    assert_explained(line)
