"""A warehouse in a DuckLake, its catalog on a real PostgreSQL server: the same rows as in a DuckDB file."""

import os
import random
import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import duckdb
import psycopg2
import pytest
from dlt.destinations.impl.duckdb.sql_client import DuckDbSqlClient
from typer.testing import CliRunner

from hookmart.commands import app
from pipelines import ducklake_warehouse
from pipelines.duckdb_extensions import extension_directory
from pipelines.ducklake_warehouse import DuckLakeWarehouse
from pipelines.errors import WarehouseAwayError, WarehouseLockedError
from pipelines.raw_tables import RAW_TABLES
from tests.ducklake_line import LakeLine
from tests.line import Line
from tests.postgres_server import PROGRAMS, PostgresServer
from tests.programme_activity import plan_stories
from tests.programmes import mutate_delivery, random_programme
from tests.test_load import assert_accounted_for, distinct_ids, ids

TIMEZONE = "Europe/Malta"
POSTS = random_programme(5, partners=3, conversions=4, payouts=2, clicks=3)
PASSWORD = "catalog's password"

pytestmark = pytest.mark.skipif(PROGRAMS is None, reason="PostgreSQL is not installed here")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer() as running:
        running.guard("keeper", PASSWORD.replace("'", "''"))
        yield running


def new_line(root: Path, server: PostgresServer) -> LakeLine:
    """A line whose catalog is behind a password, with a twin on DuckDB."""
    catalog = server.make_database()
    server.execute(f"grant create on database {catalog} to keeper")
    line = LakeLine(root / "lake", server, server.url(catalog, "keeper", PASSWORD.replace("'", "%27")), TIMEZONE)
    line.twin = Line(root / "twin", TIMEZONE)
    return line


@pytest.fixture
def line(server: PostgresServer, tmp_path: Path) -> LakeLine:
    return new_line(tmp_path, server)


def load_both(line: LakeLine, posts: Sequence[Any]) -> None:
    """Load the same segments into the lake and into its twin."""
    line.twin.stage_posts(posts)
    for segment in line.twin.stage.closed_segments():
        shutil.copy(segment.path, line.stage.root)
    for each in (line, line.twin):
        each.load()


def raw_rows(line: LakeLine | Line) -> dict[str, list[str]]:
    """All rows of `raw`, but for when they were loaded."""
    return {
        table: sorted(
            repr(sorted((name, value) for name, value in row.items() if not name.startswith(("_dlt", "loaded_at"))))
            for row in line.query_warehouse(f"select * from raw.{table}")
        )
        for table in RAW_TABLES
    }


def test_raw_is_the_same_as_in_a_file(line: LakeLine) -> None:
    """Loads that overlap, shuffled and repeated, leave the same rows in every table; a load is one snapshot."""
    for posts in mutate_delivery(POSTS, random.Random(3), batches=2):
        load_both(line, posts)
    assert raw_rows(line) == raw_rows(line.twin)
    assert ids(line) == distinct_ids(POSTS)
    assert_accounted_for(line)
    assert list((line.root / "lake").rglob("*.parquet"))
    before = snapshots(line)
    line.stage_posts(POSTS[:9])
    line.load()
    assert snapshots(line) == before + 1


def snapshots(line: LakeLine) -> int:
    """The number of the newest snapshot."""
    [row] = line.query_warehouse("select max(snapshot_id) as newest from ducklake_snapshots('lake')")
    return int(row["newest"])


def test_a_killed_load_leaves_the_lake_as_it_was(line: LakeLine) -> None:
    """Killed in the middle of its transaction, a load is made up for by the next, nothing lost or doubled."""
    line.stage_posts(POSTS[:20])
    line.load()
    line.stage_posts(POSTS)
    loader = get_context("fork").Process(target=load_and_die, args=(line,))
    loader.start()
    loader.join()
    assert loader.exitcode == -signal.SIGKILL
    assert ids(line) == distinct_ids(POSTS[:20])
    line.load()
    assert ids(line) == distinct_ids(POSTS)
    assert_accounted_for(line)


def load_and_die(line: LakeLine) -> None:
    """Load, and be killed once rows of two tables are in the transaction."""
    original, calls = DuckDbSqlClient.execute_sql, 0

    def dying(client: Any, sql: Any, *arguments: Any) -> Any:
        nonlocal calls
        answer = original(client, sql, *arguments)
        calls += "read_parquet" in str(sql)
        if calls == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    DuckDbSqlClient.execute_sql = dying  # type: ignore[method-assign,assignment]
    line.load()


def enter(session: AbstractContextManager[object]) -> None:
    with session:
        pass


def test_what_is_in_the_way_is_said_in_a_sentence(line: LakeLine) -> None:
    """Another loader, files of another lake, a server that is down: each has its sentence, none says the password."""
    load_both(line, POSTS[:5])
    told: list[str] = []
    hasty = DuckLakeWarehouse(line.url, line.root / "lake", line.root / "state", 0.3, told.append)
    with line.warehouse.session():
        with pytest.raises(WarehouseLockedError, match="Another loader or build works"):
            enter(hasty.session())
        assert len(told) == 1
    elsewhere = DuckLakeWarehouse(line.url, line.root / "elsewhere", line.root / "state")
    with pytest.raises(WarehouseAwayError, match=r"cannot be attached: .*Correct `storage`") as moved:
        enter(elsewhere.session())
    with pytest.raises(WarehouseAwayError, match="went away") as lost:
        load_while_the_server_restarts(line)
    assert raw_rows(line) == raw_rows(line.twin)
    for each in (str(moved.value), str(lost.value), repr(line.loader), *told):
        assert "password" not in each


def test_an_extension_for_another_duckdb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An extension works with the one DuckDB it was made for; the sentence names the package."""
    assert list(extension_directory(["ducklake"], tmp_path).rglob("ducklake.duckdb_extension"))
    monkeypatch.setattr(duckdb, "__version__", "9.9.9")
    with pytest.raises(ValueError, match=r"duckdb-extension-ducklake is not for DuckDB 9\.9\.9; .*requirements\.lock"):
        extension_directory(["ducklake"], tmp_path)
    with pytest.raises(ModuleNotFoundError):
        extension_directory(["of_nobody"], tmp_path)


def load_while_the_server_restarts(line: LakeLine) -> None:
    """Whoever asks for the lock after the restart gets it, so what is under way must not be kept."""
    with line.warehouse.session() as session, session.loading(None):
        session.execute("insert into raw.loads select * from raw.loads")
        line.server.stop()
        line.server.start()


@pytest.mark.slow
def test_every_mart_is_the_same_as_in_a_file(line: LakeLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Full and incremental, whenever the lake is tidied; readers have the copy, or attach the lake."""
    monkeypatch.setattr(ducklake_warehouse, "_SNAPSHOTS_AT_A_TIME", 100)
    for posts in mutate_delivery([*random_programme(3), *plan_stories()], random.Random(3), batches=3):
        load_both(line, posts)
        for each in (line, line.twin):
            each.build()
        assert line.marts() == line.twin.marts()
        assert all(line.marts().values())
    assert not line.build().is_new
    assert (line.root / "state" / "lake-tidied").exists()
    assert raw_rows(line) == raw_rows(line.twin)
    line.build(full_refresh=True)
    assert line.marts() == line.twin.marts()
    assert attached_count(line) == len(line.marts()["conversions"])

    config = tmp_path / "hookmart.toml"
    config.write_text(
        '[warehouse]\ndestination = "ducklake"\ncredentials = "env:CATALOG_URL"\n'
        f'storage = "{line.root / "lake"}"\npublish = "{line.root / "published"}"\nstate = "{line.root / "state"}"\n'
        f'[stage]\nurl = "{line.stage.root}"\narchive = "{line.root / "archive"}"\n'
        '[sources.acme]\nscheme = "hmac-sha256-hex"\nheader = "X-Signature"\nsecrets = ["env:ACME"]\n'
    )
    monkeypatch.setenv("CATALOG_URL", line.url)
    for command in (["query", "select count(*) as n from conversions"], ["load"], ["build"], ["status"]):
        done = CliRunner().invoke(app, [*command, "--config", str(config)])
        assert (done.exit_code, PASSWORD in done.output) == (0, False), done.output


def attached_count(line: LakeLine) -> int:
    """How many conversions another program sees that attaches the lake by itself."""
    connection = duckdb.connect(config={"extension_directory": str(line.root / "state" / "extensions")})
    connection.execute(
        f"attach 'ducklake:postgres:{line.server.url(database_of(line))}' as ours "
        "(read_only, metadata_schema 'hookmart')"
    )
    [(count,)] = connection.execute("select count(*) from ours.marts.conversions").fetchall()
    connection.close()
    return int(count)


def database_of(line: LakeLine) -> str:
    return str(psycopg2.extensions.parse_dsn(line.url)["dbname"])
