"""What the quarantine and the status say of what waits."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pipelines.duckdb_warehouse import DuckDBWarehouse
from pipelines.errors import WarehouseLockedError
from pipelines.quarantine import Quarantine, Selection
from pipelines.status import read_status
from tests.held_warehouse import HOLD_WAREHOUSE, held_by_another_process
from tests.line import RECEIVED_AT, Line, staged_line
from tests.test_quarantine import BODIES, UNKNOWN, quarantine_of, quarantined


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line(tmp_path)


def test_groups_are_counted_with_their_first_and_last_sight(line: Line) -> None:
    """One group per source, reason, type and version: the largest first; what is replayed is shown on demand only."""
    assert quarantine_of(line).groups() == []
    assert not line.warehouse.database.exists()
    line.load()
    assert quarantine_of(line).groups() == []
    line.stage_lines(
        [
            quarantined(BODIES[0], after=5),
            quarantined(UNKNOWN, after=7),
            quarantined(UNKNOWN, after=1),
            quarantined(b"{", "malformed_json", source="zenith", after=3),
        ]
    )
    line.load()
    quarantine_of(line).replay(Selection())
    line.load()

    start = RECEIVED_AT.replace(tzinfo=None)
    unknown, malformed = quarantine_of(line).groups()
    assert (unknown.event_type, unknown.schema_version, unknown.events, unknown.open) == (
        "partner.promoted",
        "1.0",
        2,
        2,
    )
    assert (unknown.first_seen, unknown.last_seen) == (start + timedelta(seconds=1), start + timedelta(seconds=7))
    assert (malformed.source_id, malformed.reason, malformed.event_type) == ("zenith", "malformed_json", None)
    replayed = quarantine_of(line).groups(is_all=True)[-1]
    assert (replayed.event_type, replayed.events, replayed.open) == ("partner.registered", 1, 0)


def test_the_status_tells_what_waits_and_who_signed_last(line: Line) -> None:
    """Per source: open quarantine, and each secret with the newest delivery it verified; a refused one proves none."""
    old = replace(quarantined(BODIES[1], after=9), secret_name="env:OLD")
    refused = replace(
        staged_line("acme", b"x", RECEIVED_AT + timedelta(seconds=60)),
        outcome="refused", status_code=401, payload=None, secret_name="env:FORGED",
    )  # fmt: skip
    line.stage_lines([staged_line("acme", BODIES[0], RECEIVED_AT), quarantined(BODIES[5], after=3), old, refused])
    line.load()
    status = read_status(line.root / "state").sources["acme"]
    assert status.secrets == {"env:OLD": "2026-11-01T12:00:09.000000Z", "env:TEST": "2026-11-01T12:00:03.000000Z"}
    assert (status.quarantined_open, status.counts.quarantined) == (2, 2)
    quarantine_of(line).replay(Selection())
    line.load()

    status = read_status(line.root / "state").sources["acme"]
    assert (status.quarantined_open, status.counts.quarantined, status.unexplained) == (0, 2, 0)
    assert status.secrets["env:OLD"] == "2026-11-01T12:00:09.000000Z"


def test_a_status_written_by_an_earlier_version_is_read(line: Line) -> None:
    """What it does not say is unknown, not zero."""
    line.stage_lines([quarantined(BODIES[0])])
    line.load()
    path = line.root / "state" / "status.json"
    document = json.loads(path.read_text())
    for name in ("quarantined_open", "secrets", "ignored"):
        del document["sources"]["acme"][name]
    path.write_text(json.dumps(document))

    status = read_status(line.root / "state").sources["acme"]
    assert (status.quarantined_open, status.secrets, status.ignored, status.counts.quarantined) == (None, {}, None, 1)


def test_a_warehouse_that_the_loader_has_is_waited_for(line: Line) -> None:
    """Who asks is told once that he waits; where it takes too long the error says what to do, and nothing is staged."""
    line.stage_lines([quarantined(BODIES[0])])
    line.load()
    told: list[str] = []
    impatient = Quarantine(DuckDBWarehouse(line.warehouse.database, patience=0.3, notice=told.append), line.stage)
    with held_by_another_process(HOLD_WAREHOUSE, line.warehouse.database):
        for ask in (impatient.groups, lambda: impatient.replay(Selection())):
            told.clear()
            with pytest.raises(WarehouseLockedError, match="Close it"):
                ask()
            assert len(told) == 1
    assert line.stage.closed_segments() == []
    assert impatient.replay(Selection()).fitting == 1
