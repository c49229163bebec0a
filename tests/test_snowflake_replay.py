"""
Archive and erasure on Snowflake, as far as an emulator plays it: raw comes out of the archive, and a customer goes.

It runs where Snowflake's adapter and the emulator are: `make clouds` makes that environment and runs this there.
"""

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.columns import EVENT_COLUMNS
from tests.test_erase import CUSTOMER, IDS, conversion, erasure_of, files_with, staged, tell
from tests.test_quarantine import assert_explained
from tests.test_replay import OF_THE_LOADS, RENAMED, raw_rows, replayed, stage_programme

if importlib.util.find_spec("fakesnow") is None:
    pytest.skip("Snowflake's emulator is not installed here; `make clouds` does it", allow_module_level=True)

from pipelines.cloud_warehouse import CloudSession
from tests.fake_snowflake import emulated
from tests.snowflake_line import CloudLine

pytestmark = pytest.mark.slow

SCHEMAS = ("raw", "staging", "intermediate", "marts_building", "marts")


@pytest.fixture(autouse=True)
def emulator() -> Iterator[None]:
    with emulated():
        yield


def made_anew(line: CloudLine) -> CloudLine:
    """A line with the archive of *line* and nothing else, in the same database, emptied."""
    for schema in SCHEMAS:
        line.query_warehouse(f"drop schema if exists {schema} cascade")
    again = CloudLine(line.root.with_name("again"))
    shutil.copytree(line.root / "archive", again.root / "archive")
    return again


def tables_with(line: CloudLine, *ids: str) -> list[str]:
    """The tables of the database in which one of *ids* stands."""
    with line.warehouse._connected("raw") as client:
        session = CloudSession(client, line.warehouse)
        names = [
            f"{schema}.{table}"
            for schema in (*SCHEMAS, line.warehouse.lease.holder)
            for table in sorted(session.table_names(schema))
        ]
    found = [(name, repr(line.query_warehouse(f"select * from {name}"))) for name in names]
    return [name for name, rows in found if any(each in rows for each in ids)]


def test_raw_comes_out_of_the_archive_alone(tmp_path: Path) -> None:
    """An empty database gets every row, and what is read once more changes nothing but what a mapping corrects."""
    told = CloudLine(tmp_path / "told")
    stage_programme(told)
    before = raw_rows(told, *OF_THE_LOADS)
    whole = raw_rows(told)
    report = replayed(told)
    assert raw_rows(told) == whole
    assert (report.loaded, report.changed, report.removed, report.released) == (0, 0, 0, 0)

    again = made_anew(told)
    report = replayed(again)
    after = raw_rows(again, *OF_THE_LOADS)
    for table in ("displaced_events", "loads"):
        assert before.pop(table) != after.pop(table)
    assert after == before
    assert report.loaded == sum(len(before[table]) for table in EVENT_COLUMNS)
    assert_explained(again)
    assert replayed(again, RENAMED).changed
    assert any(raw_rows(again, *OF_THE_LOADS)[table] != before[table] for table in EVENT_COLUMNS)
    assert replayed(again, RENAMED).changed == 0
    assert_explained(again)


def test_an_erased_customer_is_nowhere_and_stays_away(tmp_path: Path) -> None:
    """No table and no file on this side names the customer, and neither a redelivery nor the archive does again."""
    line = CloudLine(tmp_path / "line")
    tell(line, builds=1)
    assert tables_with(line, *IDS)
    report = erasure_of(line).erase(CUSTOMER, ["acme"])
    assert report.rows == {
        "conversion_events": 5, "commission_events": 1, "event_conflicts": 1, "quarantined_events": 3,
        "player_activity_rows": 1,
    }  # fmt: skip
    assert tables_with(line, *IDS) == []
    assert files_with(line.root, *IDS) == []
    line.stage_lines([staged(conversion(9), after=61)])
    line.load()
    assert tables_with(line, *IDS) == []
    before = raw_rows(line, *OF_THE_LOADS)
    again = made_anew(line)
    replayed(again)
    for table in EVENT_COLUMNS:
        assert raw_rows(again, *OF_THE_LOADS)[table] == before[table]
    assert tables_with(again, *IDS) == []
