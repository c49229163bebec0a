"""Generations as readers see them: whole, immutable, one after another, and never in the way."""

import os
import signal
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import duckdb
import pytest

import pipelines.publish
from pipelines.publish import publish
from tests.killed_process import PROCESSES
from tests.line import Line
from tests.programmes import random_programme


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse whose one mart tells its version, with other schemas beside it."""
    with duckdb.connect(tmp_path / "ware house's.duckdb") as connection:
        for schema in ("raw", "intermediate", "marts"):
            connection.execute(f"create schema {schema}")
            connection.execute(f"create table {schema}.versions as select 1 as version")
        connection.execute("create table marts.empty (amount decimal(28, 8), seen_at timestamp, currency varchar)")
        yield connection


@pytest.fixture
def published(tmp_path: Path) -> Path:
    return tmp_path / "it's published"


def set_version(warehouse: duckdb.DuckDBPyConnection, version: int) -> None:
    """Change the mart."""
    warehouse.execute("update marts.versions set version = ?", [version])


def version_of(generation: Path) -> int:
    """What a reader of *generation* sees."""
    with duckdb.connect(generation / "marts.duckdb", read_only=True) as connection:
        (version,) = connection.execute("select version from marts.marts.versions").fetchone() or (0,)
    return int(version)


def names(published: Path) -> list[str]:
    """Everything in the published directory, hidden names too."""
    return sorted(path.name for path in published.iterdir())


def test_current_is_a_relative_link_to_the_generation_of_the_load(
    warehouse: duckdb.DuckDBPyConnection, published: Path
) -> None:
    """The directory may be moved or mounted elsewhere, and still `current` leads to the newest generation."""
    assert publish(warehouse, published, 7) == published / "gen-7"
    assert (published / "current").readlink() == Path("gen-7")
    assert names(published) == ["current", "gen-7"]
    assert [path.name for path in (published / "gen-7").iterdir()] == ["marts.duckdb"]
    moved = published.rename(published.with_name("moved"))
    assert version_of(moved / "current") == 1


def test_a_generation_is_one_file(warehouse: duckdb.DuckDBPyConnection, published: Path) -> None:
    """Whoever copies it has all of it, and no reader reads a log first, though the warehouse keeps its own."""
    warehouse.execute("pragma disable_checkpoint_on_shutdown")
    generation = publish(warehouse, published, 7)
    assert [path.name for path in generation.iterdir()] == ["marts.duckdb"]
    assert version_of(generation) == 1


def test_only_the_marts_are_published_with_their_types(warehouse: duckdb.DuckDBPyConnection, published: Path) -> None:
    """Raw payloads and intermediate tables stay in the warehouse; an empty mart is a mart."""
    generation = publish(warehouse, published, 1)
    with duckdb.connect(generation / "marts.duckdb", read_only=True) as connection:
        tables = connection.execute("select table_schema, table_name from information_schema.tables order by 2")
        found = tables.fetchall()
        columns = connection.execute("describe marts.marts.empty").fetchall()

    assert found == [("marts", "empty"), ("marts", "versions")]
    assert [column[1] for column in columns] == ["DECIMAL(28,8)", "TIMESTAMP", "VARCHAR"]


def test_older_clients_can_open_the_file(warehouse: duckdb.DuckDBPyConnection, published: Path) -> None:
    """The file is written in the storage format of DuckDB 1.4, not in that of the library that writes it."""
    generation = publish(warehouse, published, 1)
    with duckdb.connect(generation / "marts.duckdb", read_only=True) as connection:
        row = connection.execute("select tags from duckdb_databases() where database_name = 'marts'").fetchone()

    assert row is not None
    assert row[0]["storage_version"].startswith("v1.4.0")


def test_a_generation_is_never_changed(warehouse: duckdb.DuckDBPyConnection, published: Path) -> None:
    """Another build of the same loads is a generation of its own; the one before keeps its bytes."""
    first = publish(warehouse, published, 3)
    content = (first / "marts.duckdb").read_bytes()
    set_version(warehouse, 2)
    second = publish(warehouse, published, 3)
    third = publish(warehouse, published, 3)

    assert [generation.name for generation in (first, second, third)] == ["gen-3", "gen-3.2", "gen-3.3"]
    assert (first / "marts.duckdb").read_bytes() == content
    assert (published / "current").readlink() == Path("gen-3.3")


def test_the_last_three_generations_stay(warehouse: duckdb.DuckDBPyConnection, published: Path) -> None:
    """Older ones go, by age and not by number: after a start from scratch load 2 is newer than load 9."""
    for load_seq in (8, 9, 10, 1, 2):
        publish(warehouse, published, load_seq)

    assert names(published) == ["current", "gen-1", "gen-10", "gen-2"]
    assert (published / "current").readlink() == Path("gen-2")


def test_a_connected_reader_keeps_its_generation(warehouse: duckdb.DuckDBPyConnection, published: Path) -> None:
    """Even when its generation is removed it reads on; a new connection sees the newest."""
    publish(warehouse, published, 1)
    with duckdb.connect(published / "current" / "marts.duckdb", read_only=True) as reader:
        for load_seq in range(2, 7):
            set_version(warehouse, load_seq)
            publish(warehouse, published, load_seq)
        assert not (published / "gen-1").exists()
        assert reader.execute("select version from marts.marts.versions").fetchall() == [(1,)]
    assert version_of(published / "current") == 6


def test_a_failed_copy_leaves_the_published_one_alone(
    warehouse: duckdb.DuckDBPyConnection, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The warehouse stays usable, readers keep what they had, and the next publication goes through."""
    publish(warehouse, published, 1)

    def fail(_path: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(pipelines.publish, "sync_file", fail)
        with pytest.raises(OSError, match="No space left"):
            publish(warehouse, published, 2)
    assert version_of(published / "current") == 1
    set_version(warehouse, 3)
    publish(warehouse, published, 3)

    assert names(published) == ["current", "gen-1", "gen-3"]
    assert version_of(published / "current") == 3


POINTS = {
    "before the copy": ("_copy_marts", 1),
    "between copy and rename": ("sync_file", 1),
    "between rename and swap": ("sync_file", 3),
    "after the swap": ("_remove_old", 1),
}
"""Where to kill: before the n-th call of a function of `pipelines.publish`."""


def publish_until(database: Path, published: Path, point: str) -> None:
    """Publish version 2 in this process, which dies at *point*."""
    name, number = POINTS[point]
    original = getattr(pipelines.publish, name)
    calls = 0

    def dying(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments)

    setattr(pipelines.publish, name, dying)
    with duckdb.connect(database) as connection:
        set_version(connection, 2)
        publish(connection, published, 2)


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_publication_is_seen_whole_or_not_at_all(tmp_path: Path, published: Path, point: str) -> None:
    """Readers keep the generation before until the swap; what was half made is gone after the next publication."""
    database = tmp_path / "warehouse.duckdb"
    with duckdb.connect(database) as connection:
        connection.execute("create schema marts")
        connection.execute("create table marts.versions as select 1 as version")
        publish(connection, published, 1)
    process = PROCESSES.Process(target=publish_until, args=(database, published, point))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL

    assert version_of(published / "current") == (2 if point == "after the swap" else 1)
    with duckdb.connect(database) as connection:
        set_version(connection, 3)
        publish(connection, published, 3)
    assert version_of(published / "current") == 3
    assert [name for name in names(published) if name.startswith(".")] == []
    for generation in published.glob("gen-*"):
        assert version_of(generation) == int(generation.name.removeprefix("gen-"))


WHOLE = """
    select
        (select count(*) from opened.marts.commission_ledger) as entries,
        (select coalesce(sum(amount), 0) from opened.marts.commission_ledger) as moved,
        (select coalesce(sum(closing_balance), 0) from opened.marts.commission_statement_monthly
            where month = (select max(month) from opened.marts.commission_statement_monthly)) as closing,
        (select count(*) from opened.marts.commission_statement_monthly
            where opening_balance + earned + adjusted + transferred - paid + returned != closing_balance
            or pending_balance + payable_balance + in_transit_balance != closing_balance) as broken
"""


def read_until(stop: Event, published: Path, answers: Any) -> None:
    """Open the published file anew, ask, close, for as long as it takes; put what was seen whenever it changes."""
    last = None
    while not stop.is_set():
        try:
            with duckdb.connect() as connection:
                connection.execute(f"attach '{published}/current/marts.duckdb' as opened (read_only)")
                seen = connection.execute(WHOLE).fetchone()
        except duckdb.Error as error:
            seen = (str(error),)
        time.sleep(0.005)
        if seen != last:
            answers.put(seen)
            last = seen
    answers.put(None)


def test_a_reader_in_another_process_sees_whole_generations_only(tmp_path: Path) -> None:
    """It opens the file over and over while three builds publish, and never meets an error or half a generation."""
    line = Line(tmp_path)
    posts = [post for post in random_programme(2, partners=4, conversions=12) if post["type"].startswith("commission.")]
    parts = [posts[start::4] for start in range(4)]
    line.stage_posts(parts[0])
    line.load()
    line.build()
    stop, answers = PROCESSES.Event(), PROCESSES.Queue()
    reader = PROCESSES.Process(target=read_until, args=(stop, tmp_path / "published", answers))
    reader.start()
    try:
        seen = [answers.get(timeout=60)]
        ledgers = [len(line.query("from marts.commission_ledger"))]
        for part in parts[1:]:
            line.stage_posts(part)
            line.load()
            line.build()
            ledgers.append(len(line.query("from marts.commission_ledger")))
            seen.append(answers.get(timeout=60))
        stop.set()
        seen += iter(answers.get, None)
    finally:
        reader.kill()
        reader.join()

    assert [entries for entries, *_ in seen] == ledgers
    assert sorted(set(ledgers)) == ledgers
    for _, moved, closing, broken in seen:
        assert moved == closing
        assert broken == 0
