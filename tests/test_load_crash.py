"""A loader killed between two instructions: the next one leaves every event exactly once, and every line counted."""

import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

import dlt
import pytest
from dlt.common.storages.load_package import PackageStorage
from dlt.common.storages.load_storage import LoadStorage
from dlt.extract.storage import ExtractStorage
from dlt.load.load import Load

import pipelines.load
from ingest.staging import Stage
from pipelines.batches import PreparedBatch
from pipelines.load_memory import LoadMemory
from tests.killed_process import PROCESSES
from tests.line import Line
from tests.programmes import random_programme
from tests.test_load import archived, assert_accounted_for, distinct_ids, ids

POSTS = random_programme(11, partners=3, conversions=5, payouts=3, clicks=3)
FIRST, SECOND = POSTS[: len(POSTS) // 3], POSTS[len(POSTS) // 3 :]


def is_any(*_arguments: object) -> bool:
    """Whatever the call."""
    return True


POINTS: dict[str, tuple[Any, str, int, Callable[..., bool]]] = {
    "segments not read yet": (pipelines.load, "prepare_batch", 1, is_any),
    "segments read, not compared": (PreparedBatch, "settle", 1, is_any),
    "package half extracted": (ExtractStorage, "commit_new_load_package", 1, is_any),
    "package extracted": (dlt.Pipeline, "normalize", 1, is_any),
    "package normalized": (dlt.Pipeline, "load", 1, is_any),
    "one table inserted, not marked done": (PackageStorage, "save_pending_transition", 1, is_any),
    "some tables inserted": (PackageStorage, "save_pending_transition", 4, is_any),
    "all tables inserted": (Load, "complete_package", 1, is_any),
    "package done, not committed": (LoadStorage, "complete_load_package", 1, is_any),
    "committed, nothing released": (Stage, "release", 1, is_any),
    "committed, one segment released": (Stage, "release", 2, is_any),
}
"""Where to kill: before the n-th call of a method for which the condition holds."""


def load_until(root: Path, point: str, portion: int | None) -> None:
    """Load the line under *root* in this process, which dies at *point*, of a *portion* where it loads one by one."""
    owner, name, number, counts = POINTS[point]
    loader = Line(root).loader
    if portion is not None:
        number += portion - 1
        pipelines.load.LOAD_SEGMENTS = 1
        loader = replace(loader, memory=LoadMemory(2 * 1024**3))  # with so much, the next portion is read meanwhile
    original = getattr(owner, name)
    calls = 0

    @wraps(original)
    def dying(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += counts(*arguments)
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **named)

    setattr(owner, name, dying)
    loader.load()


def load_and_die(root: Path, point: str, portion: int | None = None) -> None:
    """Load in a process of its own, and see it killed."""
    process = PROCESSES.Process(target=load_until, args=(root, point, portion))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL, f"the loader never came to: {point}"


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A line with one load behind it and another staged, part of which repeats the first."""
    line = Line(tmp_path_factory.mktemp("begun"))
    line.stage_posts(FIRST)
    line.load()
    line.stage_posts([*SECOND, *FIRST[:5]], segments=2)
    return line.root


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_load_is_made_up_for_by_the_next(begun: Path, tmp_path: Path, point: str) -> None:
    """Wherever the loader died, afterwards no event is lost or doubled and the ledger says what came."""
    root = tmp_path / "line"
    shutil.copytree(begun, root)
    load_and_die(root, point)
    line = Line(root)
    staged = len(line.stage.closed_segments())
    assert staged + len(archived(line)) == 3
    line.load()

    assert ids(line) == distinct_ids(POSTS)
    assert line.stage.closed_segments() == []
    assert len(archived(line)) == 3
    assert_accounted_for(line)
    (counted,) = line.query_warehouse("select sum(received) as received, sum(duplicate) as duplicate from raw.loads")
    assert counted["received"] == len(POSTS) + 5
    assert line.query_warehouse("select distinct load_seq from raw.loads order by 1") == [
        {"load_seq": 1},
        {"load_seq": 2},
    ]
    assert line.load().segments == 0


PORTIONS = {
    "second portion read, first not committed": ("some tables inserted", 1),
    "first portion loaded, second not, neither committed": ("segments read, not compared", 2),
}
"""Where to kill a load of several portions: a point, and the portion that has come to it."""


@pytest.mark.parametrize(("point", "portion"), PORTIONS.values(), ids=PORTIONS)
def test_a_load_killed_between_its_portions_goes_on_behind_the_last_one(
    begun: Path, tmp_path: Path, point: str, portion: int
) -> None:
    """Portions commit together: none or all of them have loaded, and what was read is read once more."""
    root = tmp_path / "line"
    shutil.copytree(begun, root)
    load_and_die(root, point, portion)
    line = Line(root)
    line.load()

    assert ids(line) == distinct_ids(POSTS)
    assert line.stage.closed_segments() == []
    assert len(archived(line)) == 3
    assert_accounted_for(line)
    places = line.query_warehouse("select distinct load_seq from raw.loads order by 1")
    assert [row["load_seq"] for row in places] == list(range(1, len(places) + 1))


def test_a_first_load_killed_leaves_a_warehouse_that_can_be_loaded(tmp_path: Path) -> None:
    """Tables made by half are no obstacle: the second attempt makes the rest and loads all."""
    line = Line(tmp_path)
    line.stage_posts(POSTS)
    for point in ("package normalized", "some tables inserted"):
        load_and_die(tmp_path, point)
    line.load()

    assert ids(line) == distinct_ids(POSTS)
    assert_accounted_for(line)


def test_a_load_killed_again_and_again_comes_through(begun: Path, tmp_path: Path) -> None:
    """Three deaths in a row, each further on, leave one row for each event."""
    root = tmp_path / "line"
    shutil.copytree(begun, root)
    for point in ("package extracted", "one table inserted, not marked done", "all tables inserted"):
        load_and_die(root, point)
    line = Line(root)
    line.load()

    assert ids(line) == distinct_ids(POSTS)
    assert_accounted_for(line)
