"""A loader into PostgreSQL killed between two instructions, with another loader at work before it comes back."""

from datetime import timedelta
from pathlib import Path

import pytest

from models.columns import EVENT_COLUMNS
from tests.killed_process import Point, run_and_die
from tests.line import RECEIVED_AT, staged_line
from tests.oracle_events import body
from tests.postgres_line import PostgresLine
from tests.postgres_server import PROGRAMS, PostgresServer
from tests.programmes import random_programme
from tests.test_load import distinct_ids, ids

POSTS = random_programme(11, partners=3, conversions=5, payouts=3, clicks=3)
FIRST, SECOND = POSTS[: len(POSTS) // 3], POSTS[len(POSTS) // 3 :]

FAST: dict[str, Point] = {
    "some tables written": ("pipelines.postgres_destination:InsertJob.run", 4),
    "all written, not committed": ("dlt.common.storages.load_package:PackageStorage.complete_loading_package", 1),
    "committed, one segment released": ("ingest.staging:Stage.release", 2),
}
SLOW: dict[str, Point] = {
    "package extracted": ("dlt:Pipeline.normalize", 1),
    "package normalized": ("dlt:Pipeline.load", 1),
    "transaction begun": ("pipelines.postgres_warehouse:PostgresSession.execute", 8),
    "nothing written": ("pipelines.postgres_destination:InsertJob.run", 1),
    "not written into dlt's own table of loads": ("pipelines.postgres_destination:HeldClient.complete_load", 1),
    "later copies not all removed": ("pipelines.postgres_warehouse:PostgresSession.remove_displaced", 1),
    "committed, nothing released": ("ingest.staging:Stage.release", 1),
}

EVENTS = " union all ".join(f"select received_at from raw.{table}" for table in EVENT_COLUMNS)
FIGURES = {
    "received": "select sum(received) from raw.loads",
    "accounted for": "select sum(loaded + duplicate + quarantined + refused) from raw.loads",
    # What gave way to a copy that was received earlier was loaded once, and is a duplicate from then on.
    "loaded": "select sum(loaded) - (select count(*) from raw.displaced_events) from raw.loads",
    "received a day earlier": f"select count(*) from ({EVENTS}) as events where received_at < '2026-11-01'",
}

pytestmark = pytest.mark.skipif(PROGRAMS is None, reason="PostgreSQL is not installed here")


@pytest.fixture
def begun(server: PostgresServer, tmp_path: Path) -> PostgresLine:
    """A line with one load behind it and another staged: some of it repeats the first, some was received before it."""
    line = PostgresLine(tmp_path / "line", server, server.make_database())
    line.stage_posts(FIRST)
    line.load()
    line.stage_posts([*SECOND, *FIRST[:5]], segments=2)
    line.stage_lines([staged_line(post["source"], body(post), RECEIVED_AT - timedelta(days=1)) for post in FIRST[5:10]])
    return line


def one(line: PostgresLine, sql: str) -> int:
    """The one whole number that *sql* gives."""
    [[number]] = (row.values() for row in line.query_warehouse(sql))
    return int(number)


def assert_a_killed_load_is_made_up_for(line: PostgresLine, point: Point) -> None:
    """Kill the second load at *point*, let another loader bring half of it, and load again: nothing lost or doubled."""
    run_and_die(point, PostgresLine.load, line, start="fork")
    other = PostgresLine(line.root.with_name("other"), line.server, line.database)
    other.stage_posts(SECOND[::2])
    other.load()
    line.load()

    assert ids(line) == distinct_ids(POSTS)
    assert line.stage.closed_segments() == []
    other.stage_posts(SECOND[:1])
    assert other.load().counts.duplicate == 1
    assert {name: one(line, sql) for name, sql in FIGURES.items()} == {
        "received": len(POSTS) + 10 + len(SECOND[::2]) + 1,
        "accounted for": len(POSTS) + 10 + len(SECOND[::2]) + 1,
        "loaded": len(POSTS),
        "received a day earlier": 5,
    }


@pytest.mark.parametrize("point", FAST)
def test_a_killed_load_is_made_up_for_by_the_next(begun: PostgresLine, point: str) -> None:
    """An event that another loader brought meanwhile is not brought again, and the first received copy stays."""
    assert_a_killed_load_is_made_up_for(begun, FAST[point])


@pytest.mark.slow
@pytest.mark.parametrize("point", SLOW)
def test_a_killed_load_is_made_up_for_wherever_it_died(begun: PostgresLine, point: str) -> None:
    """The same promise, between all the others of its steps."""
    assert_a_killed_load_is_made_up_for(begun, SLOW[point])
