"""What a load writes at its end: with a full disk nothing staged is lost, and beside many marts it has the memory."""

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

import duckdb
import pytest
import zstandard

from ingest.archive import Archive, damage_of
from pipelines.batches import Counts
from pipelines.build import BuildReport
from pipelines.errors import DiskFullError
from pipelines.follow import Follower
from pipelines.load import LoadReport
from tests.line import Line
from tests.programmes import random_programme
from tests.running_follower import running
from tests.running_receiver import EVENT_FILES, until
from tests.small_disk import SmallDisk
from tests.test_load import assert_accounted_for, distinct_ids, ids

POSTS = random_programme(23, partners=4, conversions=12, payouts=5, clicks=5)
FIRST, SECOND = POSTS[: len(POSTS) // 3], POSTS[len(POSTS) // 3 :]
SEGMENTS = 3


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A disk of 24 MB; unmounted in the end."""
    path = tmp_path / "small"
    path.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(path)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs leave to mount a file system")
    yield SmallDisk(path)
    subprocess.run(["umount", "-l", str(path)], check=True)


def with_warehouse(root: Path, small: Path) -> Line:
    """A line whose warehouse is on the small disk."""
    line = Line(root)
    line.warehouse = replace(line.warehouse, database=small / "warehouse.duckdb")
    line.loader = replace(line.loader, warehouse=line.warehouse)
    return line


def with_state(root: Path, small: Path) -> Line:
    """A line whose working folder, in which dlt keeps the package under way, is on the small disk."""
    line = Line(root)
    (root / "state").symlink_to(small)
    return line


def with_archive(root: Path, small: Path) -> Line:
    """A line whose archive is on the small disk."""
    line = Line(root)
    line.loader = replace(line.loader, archive=small / "archive")
    (root / "archive").symlink_to(small / "archive")
    return line


PLACES: dict[str, Callable[[Path, Path], Line]] = {
    "of the warehouse": with_warehouse,
    "of the load under way": with_state,
    "of the archive": with_archive,
}


def contents(line: Line) -> dict[str, bytes]:
    """What stands in the stage, by batch."""
    return {segment.batch_id: segment.path.read_bytes() for segment in line.stage.closed_segments()}


def archived_contents(line: Line) -> dict[str, bytes]:
    """What stands in the archive, by batch, unpacked; a file that is not whole fails the test."""
    segments = Archive(line.root / "archive").segments()
    assert [damage for segment in segments if (damage := damage_of(segment))] == []
    return {segment.batch_id: zstandard.decompress(segment.path.read_bytes()) for segment in segments}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_a_disk_that_is_full_costs_no_event_and_doubles_none(
    tmp_path: Path, disk: SmallDisk, place: Callable[[Path, Path], Line]
) -> None:
    """
    The load fails and loses nothing; with room again, the next one loads or releases what is left.

    Whatever has a name in the archive is whole, or it would not give the warehouse back.
    """
    line = place(tmp_path / "line", disk.path)
    line.stage_posts(FIRST)
    staged = contents(line)
    line.load()
    line.stage_posts([*SECOND, *FIRST[:5]], segments=SEGMENTS)
    staged |= contents(line)
    disk.fill()
    with pytest.raises(DiskFullError, match="Make room"):
        line.load()
    assert contents(line) | archived_contents(line) == staged
    disk.free()
    line.load()

    assert ids(line) == distinct_ids(POSTS)
    assert line.stage.closed_segments() == []
    assert archived_contents(line) == staged
    assert line.load().counts == Counts()
    assert_accounted_for(line)


def test_a_follower_outlasts_a_full_disk(tmp_path: Path, disk: SmallDisk) -> None:
    """It tells the trouble in a sentence, as one of those that can heal, and loads when there is room again."""
    line = with_warehouse(tmp_path / "line", disk.path)
    line.load()
    line.stage_posts(POSTS)
    disk.fill()
    loads, troubles = list[LoadReport](), list[Exception]()
    follower = Follower(line.loader, None, loads.append, lambda _built: None, troubles.append)
    follower.round()
    disk.free()
    follower.round()

    assert [type(each) for each in troubles] == [DiskFullError]
    assert [report.segments for report in loads] == [1]
    assert ids(line) == distinct_ids(POSTS)
    assert_accounted_for(line)


def test_a_build_that_found_no_room_is_made_up_for_without_a_new_event(tmp_path: Path, disk: SmallDisk) -> None:
    """The follower tries again by itself: nobody has to post something before what is loaded is in the marts."""
    line = Line(tmp_path / "line")
    line.builder = replace(line.builder, published=disk.path)
    line.stage_posts(POSTS)
    disk.fill()
    builds, troubles = list[BuildReport](), list[Exception]()
    follower = Follower(line.loader, line.builder, lambda _loaded: None, builds.append, troubles.append, retry=0.1)
    with running(follower):
        until(lambda: bool(troubles))
        disk.free()
        until(lambda: bool(builds))

    assert {type(each) for each in troubles} == {DiskFullError}
    assert [report.load_seq for report in builds] == [1]
    assert (disk.path / "current" / "marts.duckdb").exists()


def test_a_load_beside_many_marts_has_the_memory_to_commit(tmp_path: Path) -> None:
    """A commit also writes what the last build left in the database's log: every column of every mart takes a block."""
    line = Line(tmp_path)
    examples = cycle(json.loads(path.read_bytes()) for path in EVENT_FILES)
    bodies = [
        ("acme", json.dumps(example | {"id": f"evt_{number}"}).encode())
        for number, example in enumerate(islice(examples, 1_000))
    ]
    line.stage_bodies(bodies[:1])
    line.load()
    with duckdb.connect(line.warehouse.database) as connection:
        connection.execute("create schema marts")
        columns = ", ".join(f"{number} as column_{number}" for number in range(30))
        for number in range(60):
            connection.execute(f"create table marts.mart_{number} as select {columns}")
    line.stage_bodies(bodies[1:])
    assert line.load().counts.loaded == 999
