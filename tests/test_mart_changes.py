"""A generation brought up to date is the one that a copy of everything would be, whoever reads and whatever dies."""

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

import pipelines.publish
from pipelines.mart_changes import ChangedMart, MartChanges
from pipelines.publish import publish
from tests.killed_process import PROCESSES
from tests.line import Line
from tests.programmes import random_programme

ITEMS = ChangedMart("items", ("source_id", "item_id"), "intermediate.touched")
TOTALS = ChangedMart("totals")
MANY = 4000


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A warehouse with a mart of many keys, a mart that every build makes anew, and one that no build touches."""
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(path) as connection:
        for schema in ("intermediate", "marts"):
            connection.execute(f"create schema {schema}")
        connection.execute("create table intermediate.builds as select 'first' as invocation_id")
        connection.execute(
            "create table marts.items as "
            f"select 'a' as source_id, i as item_id, 0 as version from range({MANY}) as t(i)"
        )
        connection.execute("create table marts.totals as select sum(version) as versions from marts.items")
        connection.execute("create table marts.constants as select 1 as one")
    return path


@pytest.fixture
def published(tmp_path: Path) -> Path:
    return tmp_path / "published"


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Fills with each file into which all marts were copied."""
    made: list[Path] = []
    original = pipelines.publish._copy_marts

    def counted(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
        made.append(path)
        original(connection, path)

    monkeypatch.setattr(pipelines.publish, "_copy_marts", counted)
    return made


def build(connection: duckdb.DuckDBPyConnection, version: int, touched: set[int], *, until: int = MANY) -> None:
    """What a build does: touched items have one row of *version* now, or none from *until* on; totals are made anew."""
    changes = MartChanges(connection)
    connection.begin()
    changes.begin()
    connection.execute("create or replace table intermediate.touched (source_id varchar, item_id bigint)")
    # A key may be touched for several reasons.
    items = [*touched, *touched]
    connection.execute("insert into intermediate.touched select 'a', unnest($items::bigint[])", {"items": items})
    connection.execute(
        "create or replace temporary table new_rows as select distinct source_id, item_id, $version::integer as version"
        " from intermediate.touched where item_id < $until",
        {"version": version, "until": until},
    )
    connection.execute("delete from marts.items where (source_id, item_id) in (from intermediate.touched)")
    connection.execute("insert into marts.items by name from new_rows")
    changes.note(ITEMS)
    connection.execute("create or replace table marts.totals as select sum(version) as versions from marts.items")
    changes.note(TOTALS)
    connection.commit()


def publish_changes(connection: duckdb.DuckDBPyConnection, published: Path, load_seq: int) -> Path:
    """Publish as a build does."""
    return publish(connection, published, load_seq, MartChanges(connection))


def rows_of(source: duckdb.DuckDBPyConnection | Path) -> dict[str, list[Any]]:
    """All rows of all marts, of the warehouse or of a generation."""
    if isinstance(source, Path):
        with duckdb.connect() as connection:
            connection.execute(f"attach '{source}/marts.duckdb' as opened (read_only)")
            connection.execute("use opened.marts")
            return rows_of(connection)
    tables = [
        name
        for (name,) in source.execute(
            "select table_name from information_schema.tables"
            " where table_catalog = current_database() and table_schema = 'marts' order by 1"
        ).fetchall()
    ]
    return {table: source.execute(f"from marts.{table} order by all").fetchall() for table in tables}


def test_a_generation_has_the_rows_of_the_marts_after_any_builds(
    database: Path, published: Path, copies: list[Path]
) -> None:
    """Keys come, change and go, few or nearly all, with several builds between two publications or none."""
    rng = random.Random(7)
    with duckdb.connect(database) as connection:
        for version in range(1, 25):
            for _ in range(rng.choice([0, 1, 1, 1, 2, 3])):
                touched = set(rng.sample(range(MANY + 500), rng.choice([0, 1, 5, 40, 3000])))
                build(connection, version, touched, until=rng.choice([MANY, MANY + 500]))
            generation = publish_changes(connection, published, version)
            assert rows_of(generation) == rows_of(connection)
            assert [path.name for path in generation.iterdir()] == ["marts.duckdb"]

    assert len(copies) == 1


def test_a_mart_that_comes_or_goes_does_so_in_the_generation(
    database: Path, published: Path, copies: list[Path]
) -> None:
    """Whether or not a build said so."""
    with duckdb.connect(database) as connection:
        publish_changes(connection, published, 1)
        connection.execute("drop table marts.constants")
        connection.execute("create table marts.others as select 2 as two")
        assert rows_of(publish_changes(connection, published, 2)) == rows_of(connection)

    assert len(copies) == 1


def test_the_notes_do_not_grow(database: Path, published: Path) -> None:
    """What every generation has is forgotten: three builds' keys at most are kept."""
    with duckdb.connect(database) as connection:
        for version in range(1, 12):
            build(connection, version, set(range(100)))
            publish_changes(connection, published, version)
        noted = connection.execute("select count(*) from changes.keys_items").fetchone()
        builds = connection.execute("select count(*) from changes.marts").fetchone()

    assert noted is not None
    assert noted[0] <= 300
    assert builds is not None
    assert builds[0] <= 6


@pytest.mark.parametrize(
    "disturb",
    [
        lambda connection, _: MartChanges(connection).forget(),
        lambda connection, _: connection.execute("insert into intermediate.builds values ('by hand')"),
        lambda _, published: [path.touch() for path in published.glob("gen-*/marts.duckdb")],
        lambda _, published: [path.unlink() for path in published.glob("gen-*/marts.duckdb")],
        lambda _, published: [path.write_bytes(b"nonsense") for path in published.glob("gen-*/marts.duckdb")],
    ],
    ids=["a full build", "models run by other hands", "other files", "no files", "spoilt files"],
)
def test_everything_is_copied_where_a_generation_is_not_known(
    database: Path, published: Path, copies: list[Path], disturb: Callable[[Any, Path], Any]
) -> None:
    """A generation counts for what it was only where nobody but builds has touched marts and files."""
    with duckdb.connect(database) as connection:
        for version in range(1, 4):
            build(connection, version, {version})
            publish_changes(connection, published, version)
        connection.execute("update marts.constants set one = 3")
        disturb(connection, published)
        build(connection, 4, {4})
        generation = publish_changes(connection, published, 4)
        assert rows_of(generation) == rows_of(connection)

    assert len(copies) == 2


def test_a_file_that_is_mostly_gaps_is_made_anew(
    database: Path, published: Path, copies: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was replaced leaves gaps, and the file must not grow for ever."""
    monkeypatch.setattr(pipelines.publish, "_SMALL", -(10**9))
    with duckdb.connect(database) as connection:
        for version in range(1, 4):
            build(connection, version, {version})
            publish_changes(connection, published, version)

    assert len(copies) == 3


def test_a_generation_that_is_read_is_not_reused(database: Path, published: Path, copies: list[Path]) -> None:
    """Whoever has it open, by whatever name, reads on; the newest is copied instead."""
    with duckdb.connect(database) as connection:
        for version in range(1, 4):
            build(connection, version, {version})
            publish_changes(connection, published, version)
        expected = rows_of(published / "gen-1")
        saved = published.with_name("saved.duckdb")
        saved.hardlink_to(published / "gen-2" / "marts.duckdb")
        content = saved.read_bytes()
        with (published / "gen-1" / "marts.duckdb").open("rb") as copying:
            begun = copying.read(4096)
            for version in range(4, 9):
                build(connection, version, {version})
                assert rows_of(publish_changes(connection, published, version)) == rows_of(connection)
            kept = published.with_name("kept")
            kept.mkdir()
            (kept / "marts.duckdb").write_bytes(begun + copying.read())

    assert rows_of(kept) == expected
    assert saved.read_bytes() == content
    assert len(copies) == 1


def test_a_file_goes_on_as_the_one_after_the_next(database: Path, published: Path, copies: list[Path]) -> None:
    """Nothing is copied where nobody reads what leaves: the same files are brought up to date, round and round."""
    with duckdb.connect(database) as connection:
        inodes = []
        for version in range(1, 10):
            build(connection, version, {version})
            inodes.append((publish_changes(connection, published, version) / "marts.duckdb").stat().st_ino)

    assert inodes[3:6] == inodes[:3]
    assert inodes[6:9] == inodes[:3]
    assert len(copies) == 1


POINTS = {
    "before an old one is taken": ("_base", 1),
    "before it is looked at": ("_is_shared", 1),
    "before it is brought up to date": ("_is_brought_up", 1),
    "once it is": ("sync_file", 1),
    "between rename and swap": ("sync_file", 3),
    "after the swap": ("_remove_old", 1),
}
"""Where to kill: before the n-th call of a function of `pipelines.publish`."""


def publish_until(database: Path, published: Path, name: str, number: int) -> None:
    """Build and publish version 9 in this process, which dies before the *number*th call of *name*."""
    place: Any = MartChanges if name in {"apply", "record"} else pipelines.publish
    original = getattr(place, name)
    calls = 0

    def dying(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments)

    setattr(place, name, dying)
    with duckdb.connect(database) as connection:
        build(connection, 9, {9})
        publish_changes(connection, published, 9)


@pytest.mark.parametrize(
    ("name", "number"),
    [*POINTS.values(), ("apply", 1), ("record", 1)],
    ids=[*POINTS, "while it is brought up to date", "before it is recorded"],
)
def test_a_killed_publication_leaves_whole_generations(database: Path, published: Path, name: str, number: int) -> None:
    """Readers have the generation before or the new one, and the next publication is right."""
    with duckdb.connect(database) as connection:
        for version in range(1, 5):
            build(connection, version, {version})
            publish_changes(connection, published, version)
        before = rows_of(connection)
    process = PROCESSES.Process(target=publish_until, args=(database, published, name, number))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL

    with duckdb.connect(database) as connection:
        assert rows_of(published / "current") == (rows_of(connection) if name in {"_remove_old", "record"} else before)
        for version in range(10, 15):
            build(connection, version, {version})
            generation = publish_changes(connection, published, version)
            assert rows_of(generation) == rows_of(connection)
        assert [path.name for path in published.iterdir() if path.name.startswith(".")] == []
        assert len(list(published.glob("gen-*"))) == 3


def test_every_build_of_the_real_marts_is_published_by_what_it_changed(tmp_path: Path, copies: list[Path]) -> None:
    """The published rows are those of the warehouse after each of many small loads, and the first alone was copied."""
    line = Line(tmp_path)
    posts = random_programme(11, partners=6, conversions=24, payouts=6, clicks=10)
    random.Random(11).shuffle(posts)
    first, late = posts[: len(posts) // 2], posts[len(posts) // 2 :]
    line.stage_posts(first)
    line.load()
    line.build()
    for start in range(0, len(late), max(1, len(late) // 5)):
        line.stage_posts(late[start : start + max(1, len(late) // 5)])
        line.load()
        line.build()
        assert line.marts() == line.warehouse_marts()
    assert len(copies) == 1

    line.build(full_refresh=True)
    assert line.marts() == line.warehouse_marts()
    assert len(copies) == 2
