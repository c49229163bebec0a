"""A loader that cannot have its stage or its warehouse: it waits, says so, gives up in a sentence, loses nothing."""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.staging import Stage
from pipelines.batches import Counts
from pipelines.duckdb_warehouse import DuckDBWarehouse
from pipelines.errors import LoadLockedError, WarehouseLockedError
from pipelines.follow import Follower
from pipelines.load import LoadReport
from tests.held_warehouse import HOLD_LOCK, HOLD_WAREHOUSE, held_by_another_process, impatient
from tests.killed_process import PROCESSES
from tests.line import Line
from tests.programmes import random_programme
from tests.running_follower import running
from tests.running_receiver import until
from tests.test_load import (
    EXAMPLES,
    assert_accounted_for,
    distinct_ids,
    ids,
)

HOLD_FOR_READING = HOLD_WAREHOUSE.replace("sys.argv[1]", "sys.argv[1], read_only=True")
POSTS = random_programme(17, partners=3, conversions=6, payouts=3, clicks=3)


@pytest.fixture
def line(tmp_path: Path) -> Line:
    made = Line(tmp_path)
    made.load()
    return made


@pytest.mark.parametrize(
    ("script", "name", "error"),
    [
        (HOLD_LOCK, "stage/.loader.lock", LoadLockedError),
        (HOLD_WAREHOUSE, "warehouse.duckdb", WarehouseLockedError),
    ],
    ids=["another loader", "a warehouse open elsewhere"],
)
def test_a_lock_held_by_another_process_loses_nothing(
    line: Line, script: str, name: str, error: type[Exception]
) -> None:
    """The loader says once that it waits, leaves in a sentence, and loads all of it when the other has gone."""
    line.load()
    line.stage_bodies(EXAMPLES)
    told: list[str] = []
    with held_by_another_process(script, line.root / name):
        with pytest.raises(error, match=r"Stop it|Close it"):
            impatient(line, told).load()
        assert len(told) == 1
        assert told[0].startswith("waiting: ")
        assert len(line.stage.closed_segments()) == 1

    assert line.load().counts == Counts(received=18, loaded=18)
    assert_accounted_for(line)


@pytest.mark.parametrize(
    ("script", "name"),
    [(HOLD_LOCK, "stage/.loader.lock"), (HOLD_WAREHOUSE, "warehouse.duckdb")],
    ids=["another loader", "a warehouse open elsewhere"],
)
def test_the_loader_goes_on_as_soon_as_the_other_lets_go(line: Line, script: str, name: str) -> None:
    """Within its patience it waits and then loads, as if nothing had been."""
    line.load()
    line.stage_bodies(EXAMPLES)
    with held_by_another_process(script, line.root / name) as let_go:

        def notice(_message: str) -> None:
            let_go()

        warehouse = DuckDBWarehouse(line.warehouse.database, patience=60, notice=notice)
        assert replace(line.loader, warehouse=warehouse, notice=notice).load().counts.loaded == 18


def test_a_program_that_only_reads_the_warehouse_is_waited_for_too(line: Line) -> None:
    """DuckDB lets nobody write beside a reader of the file: the loader says what to close, and loads afterwards."""
    line.stage_bodies(EXAMPLES)
    told: list[str] = []
    with held_by_another_process(HOLD_FOR_READING, line.warehouse.database):
        with pytest.raises(WarehouseLockedError, match="readers open the published copy"):
            impatient(line, told).load()
        assert len(told) == 1
        assert len(line.stage.closed_segments()) == 1

    assert line.load().counts == Counts(received=18, loaded=18)
    assert_accounted_for(line)


@pytest.mark.parametrize(
    ("script", "name", "error"),
    [
        (HOLD_LOCK, "stage/.loader.lock", LoadLockedError),
        (HOLD_WAREHOUSE, "warehouse.duckdb", WarehouseLockedError),
    ],
    ids=["another loader", "a warehouse open elsewhere"],
)
def test_a_follower_goes_on_when_the_other_has_gone(line: Line, script: str, name: str, error: type[Exception]) -> None:
    """It tells the trouble, keeps trying, and loads what was staged before and meanwhile, once."""
    loads, troubles = list[LoadReport](), list[Exception]()
    follower = Follower(
        impatient(line, [], patience=0.1), None, loads.append, lambda _built: None, troubles.append, retry=0.1
    )
    with ExitStack() as stack:
        with held_by_another_process(script, line.root / name):
            line.stage_posts(POSTS[: len(POSTS) // 2])
            stack.enter_context(running(follower))
            until(lambda: len(troubles) >= 2)
            line.stage_posts(POSTS[len(POSTS) // 2 :])
        until(lambda: bool(loads) and not line.stage.closed_segments())

    assert {type(each) for each in troubles} == {error}
    assert sum(report.segments for report in loads) == 2
    assert ids(line) == distinct_ids(POSTS)
    assert_accounted_for(line)


def load_once(root: Path) -> None:
    """Load the line under *root*."""
    Line(root).load()


def test_loaders_that_start_together_load_every_event_once(line: Line) -> None:
    """One works and the other waits for it; what the first left is little, and neither undoes the other."""
    line.stage_posts(POSTS, segments=6)
    processes = [PROCESSES.Process(target=load_once, args=(line.root,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()

    assert [process.exitcode for process in processes] == [0, 0]
    assert ids(line) == distinct_ids(POSTS)
    assert Stage(line.root / "stage").closed_segments() == []
    assert_accounted_for(line)
