"""Of an event's copies the one received first is in force, whatever order their segments are loaded in."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.staging import StagedLine
from models.columns import EVENT_COLUMNS
from pipelines.batches import Counts
from pipelines.status import LoadStatus, read_status
from tests.line import BareLine, Line
from tests.test_batches import NOON, accepted, event

CLICK, OTHER, PARTNER = event("e1"), event("e1", program_id="other"), event("e1", "partner.registered")


def copies() -> list[list[StagedLine]]:
    """One event's copies, a segment each: three bodies of two types, received at different times."""
    return [
        [accepted(CLICK, after=20), accepted(event("e2"), after=20)],
        [accepted(OTHER, after=10)],
        [accepted(PARTNER, after=5)],
        [accepted(CLICK, after=3), accepted(OTHER, after=4)],
        [accepted(OTHER, after=86_400)],
        [accepted(event("e2"), after=1)],
    ]


SEGMENTS = copies()


def state_of(line: BareLine) -> dict[str, list[dict[str, Any]]]:
    """What `raw` holds of events, but for which load brought it."""
    tables = [*EVENT_COLUMNS, "event_conflicts"]
    return {
        table: line.query_warehouse(f"select * exclude (batch_id, load_seq) from raw.{table} order by all")
        for table in tables
    }


def status_of(line: BareLine) -> LoadStatus:
    return read_status(line.root / "state")


def load_in_order(root: Path, segments: Sequence[Sequence[StagedLine]], together: int) -> Line:
    line = Line(root)
    for start in range(0, len(segments), together):
        for lines in segments[start : start + together]:
            line.stage_lines(lines)
        line.load()
    return line


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line(tmp_path)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    return state_of(load_in_order(tmp_path_factory.mktemp("at_once"), SEGMENTS, len(SEGMENTS)))


@given(order=st.permutations(SEGMENTS), together=st.integers(1, 3))
@settings(max_examples=5, deadline=None)
def test_the_order_of_loads_does_not_decide_which_body_is_in_force(
    expected: dict[str, list[dict[str, Any]]], order: list[list[StagedLine]], together: int
) -> None:
    """Segments in any order, one by one or several at a time: the same events and conflicts, nothing unexplained."""
    with TemporaryDirectory() as directory:
        line = load_in_order(Path(directory), order, together)
        assert state_of(line) == expected
        status = status_of(line)
        assert [(name, each.unexplained, each.unexplained_days) for name, each in status.sources.items()] == [
            ("acme", 0, {})
        ]


def test_what_gives_way_is_kept_and_counted(line: Line) -> None:
    """The body that was there becomes a conflict, its line a duplicate; the next build looks at everything."""
    late, early = accepted(CLICK, after=20), accepted(PARTNER, after=10)
    line.stage_lines([late])
    line.load()
    line.build()
    line.stage_lines([early])
    report = line.load()

    assert report.counts == Counts(received=1, loaded=0, duplicate=1, conflicting=1)
    assert line.query_warehouse("from raw.click_events") == []
    (row,) = line.query_warehouse("from raw.partner_events")
    assert row["delivery_id"] == early.delivery_id
    (conflict,) = line.query_warehouse("from raw.event_conflicts")
    assert (conflict["payload"], conflict["kept_body_sha256"]) == (CLICK.decode(), early.body_sha256)
    (source,) = status_of(line).sources.values()
    assert source.counts == Counts(received=2, loaded=1, duplicate=1, conflicting=1)
    assert source.unexplained == 0
    assert line.build().is_full


def test_an_id_that_comes_again_with_another_time_is_found(line: Line) -> None:
    """The search by time is where the search begins, not where it ends."""
    line.stage_lines([accepted(CLICK)])
    line.load()
    moved = event("e1", timestamp=(NOON + timedelta(days=400)).isoformat())
    line.stage_lines([accepted(moved, after=5)])

    assert line.load().counts == Counts(received=1, duplicate=1, conflicting=1)
