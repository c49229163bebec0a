"""Platforms as they are on a PostgreSQL server and in a lake: as in DuckDB, before a corrected mapping and after."""

import shutil
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from hookmart.wiring import loader_of, mappings_of
from ingest.archive import Archive
from mappings.mapping_file import builtin_text
from pipelines.quarantine import Quarantine
from pipelines.raw_tables import RAW_TABLES
from pipelines.replay import ArchiveReplay, ReplayReport, ReplaySelection
from tests.line import BareLine
from tests.platform_payloads import FILES, expected
from tests.postgres_server import PROGRAMS, PostgresServer
from tests.server_lines import new_line
from tests.test_mapped_sources import CONFIGURATION, Programme, payload, post, posts_of
from tests.test_postgres import raw_rows

pytestmark = pytest.mark.skipif(PROGRAMS is None, reason="PostgreSQL is not installed here")

_MAPPED_BY_HAND = CONFIGURATION.replace('= "everflow"', '= "everflow.toml"').replace('"dub"\n\n', '"dub.toml"\n\n')
_EARNED = "select amount from raw.commission_events where source_id = 'everflow' and event_type like '%.calculated'"
_EVENTS = "select source_id, event_id, body_sha256 from raw.{}_events"


def write_mappings(directory: Path, *, are_right: bool) -> None:
    """Write Dub's mapping and Everflow's into *directory*, as they come with hookmart or spoilt."""
    dub, everflow = builtin_text("dub"), builtin_text("everflow")
    if not are_right:
        dub = dub.replace('"data.earnings"', '"data.id"')
        everflow = everflow.replace('path = "payout", as', 'path = "revenue", as')
    (directory / "dub.toml").write_text(dub)
    (directory / "everflow.toml").write_text(everflow)


def load(programme: Programme, line: BareLine) -> None:
    """Load what *programme* received into the warehouse of *line*, by today's mappings."""
    loader = loader_of(programme.settings)
    replace(loader, stage=line.stage, archive=line.loader.archive, state=line.loader.state,
            warehouse=line.warehouse).load()  # fmt: skip


def replayed(programme: Programme, line: BareLine) -> ReplayReport:
    """Read the archive of *line* again, by today's mappings."""
    settings = programme.settings
    loader = replace(loader_of(settings), stage=line.stage, archive=line.loader.archive, state=line.loader.state,
                     warehouse=line.warehouse)  # fmt: skip
    quarantine = Quarantine(line.warehouse, line.stage, mappings_of(settings))
    return ArchiveReplay(loader, quarantine).replay(ReplaySelection())


def assert_same_rows(line: BareLine, twin: BareLine) -> None:
    """Every table of `raw` holds the same rows, but for the clock and the names of segments that a replay staged."""
    shared = {segment.batch_id for segment in Archive(twin.root / "archive").segments()}
    shared &= {segment.batch_id for segment in Archive(line.root / "archive").segments()}

    def rows(each: BareLine, table: str) -> list[list[tuple[str, object]]]:
        named = raw_rows(each, table)
        return sorted(
            ([(name, value if name != "batch_id" or value in shared else "a replay") for name, value in row]
             for row in named), key=repr
        )  # fmt: skip

    for table in RAW_TABLES:
        assert rows(line, table) == rows(twin, table), table


def events_of(line: BareLine) -> list[tuple[str, str, str]]:
    """Source, id and hash of the body of every event in `raw`."""
    tables = ("click", "conversion", "commission", "payout", "partner")
    found = [row for table in tables for row in line.query_warehouse(_EVENTS.format(table))]
    return sorted((row["source_id"], row["event_id"], row["body_sha256"]) for row in found)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["postgres", "ducklake"])
def test_every_payload_gives_the_same_rows_and_a_corrected_mapping_reaches_them(
    tmp_path: Path, server: PostgresServer, engine: str
) -> None:
    """
    Every platform's payloads, loaded by two mappings that are wrong, then replayed by right ones.

    What had been loaded with the wrong amount is replaced, what did not fit comes in, and a warehouse that is made
    from the archive alone holds the same events.
    """
    programme = Programme(tmp_path, _MAPPED_BY_HAND)
    write_mappings(tmp_path, are_right=False)
    programme.post(posts_of(FILES))
    programme.post([post("dub", b"no json"), post("rewardful", payload("rewardful", "commission-created"))])
    twin, line = programme.line, new_line(engine, tmp_path / "other", server)
    for segment in twin.stage.closed_segments():
        shutil.copy(segment.path, line.stage.root)
    for each in (twin, line):
        load(programme, each)
    assert_same_rows(line, twin)
    assert line.query_warehouse("select 1 as one from raw.quarantined_events where reason = 'mapping'")
    wrong = line.query_warehouse(_EARNED)

    write_mappings(tmp_path, are_right=True)
    reports = [replayed(programme, each) for each in (twin, line)]
    assert reports[0] == reports[1]
    assert reports[1].changed > 0
    assert reports[1].released > 0
    assert_same_rows(line, twin)
    assert line.query_warehouse(_EARNED) != wrong
    assert Decimal("45.10") in {row["amount"] for row in line.query_warehouse(_EARNED)}
    wanted = sorted({(path.parent.name, event["id"]) for path in FILES for event in expected(path)})
    events = events_of(line)
    assert [event[:2] for event in events] == wanted
    again = replayed(programme, line)
    assert (again.loaded, again.changed, again.removed, again.released) == (0, 0, 0, 0)

    anew = new_line(engine, tmp_path / "anew", server)
    shutil.copytree(line.root / "archive", anew.root / "archive")
    replayed(programme, anew)
    assert events_of(anew) == events
