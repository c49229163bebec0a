"""An erased customer stands nowhere on a PostgreSQL server or in a lake either, and no total has changed there."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import psycopg2
import psycopg2.sql
import pytest

from models.columns import EVENT_COLUMNS
from tests.ducklake_line import LakeLine
from tests.line import BareLine, PublishingLine
from tests.postgres_line import PostgresLine, sorted_marts
from tests.postgres_server import PROGRAMS, PostgresServer
from tests.server_lines import new_line
from tests.test_erase import CUSTOMER, IDS, conversion, erasure_of, files_with, load_activity, staged, tell
from tests.test_quarantine import assert_explained
from tests.test_replay import OF_THE_LOADS, raw_rows, replayed

SPELLINGS = (*IDS, "cus_\\u0035f3a", "ICJjdXNfNWYzYTc3ZTBiMSJ9")
"""The id and the external ones; with an escape, as it was sent once; in base64, likewise."""

WHO = {"customer_id", "customer_external_id", "customer_registered_at", "sub1", "load_seq"}
"""Columns of a conversion that an erasure may change."""

pytestmark = pytest.mark.skipif(PROGRAMS is None, reason="PostgreSQL is not installed here")


def tables_with(url: str, ids: Sequence[str]) -> list[str]:
    """The tables of the database, the server's own included, in which one of *ids* stands, in text or in bytes."""
    spelled = [*ids, *(each.encode().hex() for each in ids)]
    found = []
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute("select schemaname, tablename from pg_tables union select 'pg_catalog', 'pg_stats'")
        for schema, table in cursor.fetchall():
            name = psycopg2.sql.Identifier(schema, table)
            query = psycopg2.sql.SQL(
                "select count(*) from {} as held, unnest(%s) as wanted (id) "
                "where strpos(cast(held as text), wanted.id) > 0"
            )
            cursor.execute(query.format(name), [spelled])
            if cursor.fetchone()[0]:
                found.append(f"{schema}.{table}")
    connection.close()
    return found


def server_files_with(server: PostgresServer, database: str, ids: Sequence[str]) -> list[str]:
    """The server's files of *database* in which one of *ids* stands; its log of changes is not among them."""
    server.execute("checkpoint")
    connection = psycopg2.connect(server.url(database))
    with connection.cursor() as cursor:
        cursor.execute("select oid from pg_database where datname = current_database()")
        [[number]] = cursor.fetchall()
    connection.close()
    return files_with(server.data / "base" / str(number), *ids)


def lake_files_with(line: LakeLine, ids: Sequence[str]) -> list[str]:
    """The files of the lake in which one of *ids* stands, unpacked or not, whether or not the catalog knows them."""
    found = files_with(line.root / "lake", *ids)
    with duckdb.connect() as connection:
        for path in (line.root / "lake").rglob("*.parquet"):
            rows = repr(connection.execute("from read_parquet($path)", {"path": str(path)}).fetchall())
            figures = repr(
                connection.execute(
                    "select stats_min_value, stats_max_value from parquet_metadata($path)", {"path": str(path)}
                ).fetchall()
            )
            if any(each in rows or each in figures for each in ids):
                found.append(str(path))
    return found


def places_of(line: BareLine, server: PostgresServer, ids: Sequence[str] = SPELLINGS) -> list[str]:
    """Wherever one of *ids* stands: this side's files, the server's tables, and the files behind either."""
    url = line.url if isinstance(line, PostgresLine | LakeLine) else ""
    database = str(psycopg2.extensions.parse_dsn(url)["dbname"])
    found = files_with(line.root, *ids) + tables_with(url, ids) + server_files_with(server, database, ids)
    return found + (lake_files_with(line, ids) if isinstance(line, LakeLine) else [])


def marts_of(line: BareLine) -> dict[str, list[list[tuple[str, object]]]]:
    """All rows of all marts, in an order that no engine decides."""
    assert isinstance(line, PostgresLine | PublishingLine)
    return sorted_marts(line.marts())


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["postgres", "ducklake"])
def test_an_erased_customer_is_nowhere_and_stays_away(engine: str, server: PostgresServer, tmp_path: Path) -> None:
    """No byte of either side names the customer; totals are what they were, and neither way back is one."""
    line = new_line(engine, tmp_path / "line", server)
    tell(line, builds=1)
    before = marts_of(line)
    assert places_of(line, server)
    report = erasure_of(line).erase(CUSTOMER, ["acme"])

    assert places_of(line, server) == []
    assert report.rows == {
        "conversion_events": 5, "commission_events": 1, "event_conflicts": 1, "quarantined_events": 3,
        "player_activity_rows": 1,
    }  # fmt: skip
    assert_explained(line)
    assert_totals_are_the_same(before, marts_of(line))
    assert_nobody_comes_back(line, server)

    again = new_line(engine, tmp_path / "again", server)
    shutil.copytree(line.root / "archive", again.root / "archive")
    replayed(again)
    for table in EVENT_COLUMNS:
        assert raw_rows(again, *OF_THE_LOADS)[table] == raw_rows(line, *OF_THE_LOADS)[table]
    assert places_of(again, server) == []


def assert_totals_are_the_same(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Every conversion but for whose it is, and all the money; one more was staged when the customer was erased."""
    told, held = (
        [[pair for pair in row if pair[0] not in WHO] for row in marts["conversions"]] for marts in (before, after)
    )
    held = [row for row in held if ("conversion_id", "cnv_8") not in row]
    assert sorted(held, key=repr) == sorted(told, key=repr)
    for mart in ("commission_ledger", "commission_statement_monthly"):
        assert after[mart] == before[mart] != []
    customers = {value for row in after["conversions"] for name, value in row if name == "customer_id"}
    assert len(customers) == 2
    assert "cus_other" in customers


def assert_nobody_comes_back(line: BareLine, server: PostgresServer) -> None:
    """Neither a replay, nor a redelivery, a new event or a row of an input brings the customer back."""
    once = raw_rows(line)
    report = replayed(line)
    assert (report.loaded, report.changed, report.removed) == (0, 0, 0)
    assert raw_rows(line) == once

    line.stage_lines([staged(conversion(1, tracking={"sub_ids": {"sub1": CUSTOMER}}), after=60)])
    line.stage_lines([staged(conversion(9), after=61)])
    counts = line.load().counts
    assert (counts.received, counts.loaded, counts.duplicate, counts.conflicting) == (2, 1, 1, 0)
    load_activity(line)
    assert places_of(line, server) == []
    counted = line.query_warehouse("select count(distinct customer_id) as customers from raw.conversion_events")
    assert counted == [{"customers": 2}]
