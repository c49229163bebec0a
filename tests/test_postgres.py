"""The models on PostgreSQL: the same raw rows give the same marts, row for row."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import psycopg2
import pytest
from dbt.cli.main import dbtRunner

from pipelines.build import PROJECT
from tests.line import Line
from tests.postgres_server import PROGRAMS, PostgresServer
from tests.programmes import mutate_delivery, random_programme

TYPES = {"VARCHAR": "text", "DOUBLE": "double precision"}
TIMEZONE = "Europe/Malta"

pytestmark = pytest.mark.skipif(PROGRAMS is None, reason="PostgreSQL is not installed here")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgresServer]:
    with PostgresServer() as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running


def copy_raw(line: Line, cursor: Any, load_seq: int) -> None:
    """Bring the rows of one load from DuckDB's `raw` to the server's."""
    exported = line.root / "rows.csv"
    with duckdb.connect(line.warehouse.database, read_only=True) as warehouse:
        tables = warehouse.execute(
            "select table_name from information_schema.tables where table_schema = 'raw'"
        ).fetchall()
        for (table,) in tables:
            if table.startswith("_dlt"):
                continue
            columns = warehouse.execute(f"describe raw.{table}").fetchall()
            shape = ", ".join(f'"{name}" {TYPES.get(kind, kind)}' for name, kind, *_ in columns)
            cursor.execute(f"create table if not exists raw.{table} ({shape})")
            warehouse.execute(
                f"copy (from raw.{table} where load_seq = {load_seq}) to '{exported}' "
                r"(format csv, header false, nullstr '\N', force_quote *)"
            )
            with exported.open(encoding="utf-8") as rows:
                cursor.copy_expert(rf"copy raw.{table} from stdin (format csv, null '\N')", rows)


def build_on_postgres(line: Line) -> None:
    """Run the models on the server."""
    outcome = dbtRunner().invoke([
        "run", "--target", "postgres", "--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT),
        "--target-path", str(line.root / "target"), "--log-path", str(line.root / "logs"), "--no-write-json", "--quiet",
        "--vars", json.dumps({"reporting_timezone": TIMEZONE, "reporting_currency": "EUR"}),
    ])  # fmt: skip
    assert outcome.success, [each.message for each in getattr(outcome.result, "results", []) if each.status == "error"]


def rows_on_postgres(cursor: Any, table: str, columns: list[str]) -> list[tuple[object, ...]]:
    """All rows of one mart."""
    cursor.execute(f"select {', '.join(columns)} from marts.{table}")
    return [tuple(row) for row in cursor.fetchall()]


@pytest.mark.parametrize("seed", [3])
def test_every_mart_is_the_same_on_postgres(tmp_path: Path, server: PostgresServer, seed: int) -> None:
    """A random programme in three loads, the first built in full and the others on top, shuffled and repeated."""
    line = Line(tmp_path / "line", TIMEZONE)
    connection = psycopg2.connect(host="127.0.0.1", port=server.port, user="postgres", dbname="postgres")
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute("create schema raw")
    for posts in mutate_delivery(random_programme(seed), random.Random(seed), batches=3):
        line.stage_posts(posts)
        line.load()
        load_seq = line.build().load_seq
        copy_raw(line, cursor, load_seq)
        build_on_postgres(line)
        for table, rows in line.marts().items():
            expected = sorted((tuple(row.values()) for row in rows), key=repr)
            assert expected, table
            assert sorted(rows_on_postgres(cursor, table, list(rows[0])), key=repr) == expected, table
    connection.close()
