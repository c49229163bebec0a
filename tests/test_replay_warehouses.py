"""The archive makes a warehouse anew on a PostgreSQL server and in a lake as well, and read again changes nothing."""

import shutil
from pathlib import Path

import pytest

from models.columns import EVENT_COLUMNS
from tests.postgres_server import PROGRAMS, PostgresServer
from tests.server_lines import new_line
from tests.test_quarantine import assert_explained
from tests.test_replay import OF_THE_LOADS, RENAMED, raw_rows, replayed, stage_programme

pytestmark = pytest.mark.skipif(PROGRAMS is None, reason="PostgreSQL is not installed here")


@pytest.mark.parametrize("engine", ["postgres", pytest.param("ducklake", marks=pytest.mark.slow)])
def test_raw_comes_out_of_the_archive_alone(engine: str, server: PostgresServer, tmp_path: Path) -> None:
    """An empty warehouse gets every row that the old one has, and neither changes when all is read once more."""
    told = new_line(engine, tmp_path / "told", server)
    stage_programme(told)
    again = new_line(engine, tmp_path / "again", server)
    shutil.copytree(told.root / "archive", again.root / "archive")
    report = replayed(again)

    # Of what gave way, only its conflict is left: loaded together, the first received is the only one ever loaded.
    before, after = raw_rows(told, *OF_THE_LOADS), raw_rows(again, *OF_THE_LOADS)
    assert before.pop("displaced_events") != after.pop("displaced_events")
    assert before.pop("loads") != after.pop("loads")
    assert after == before
    assert report.loaded == sum(len(before[table]) for table in EVENT_COLUMNS)
    assert_explained(again)

    for line in (told, again):
        whole = raw_rows(line)
        report = replayed(line)
        assert raw_rows(line) == whole
        assert (report.loaded, report.changed, report.removed, report.released) == (0, 0, 0, 0)
        assert_explained(line)

    # Both are brought to what a corrected mapping says, the one from many loads and the other from few.
    for line in (told, again):
        assert replayed(line, RENAMED).changed
        assert_explained(line)
    for table in EVENT_COLUMNS:
        assert raw_rows(told, *OF_THE_LOADS)[table] == raw_rows(again, *OF_THE_LOADS)[table] != before[table]
