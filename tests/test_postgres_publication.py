"""The marts of a PostgreSQL warehouse as its readers see them change, and rows on their way through Arrow."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg2
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.errors import BuildError, WarehouseLockedError
from pipelines.postgres_arrow import copy_in, fetch, put
from pipelines.postgres_publication import is_published, publish_marts
from tests.postgres_server import PROGRAMS, PostgresServer

pytestmark = pytest.mark.skipif(PROGRAMS is None, reason="PostgreSQL is not installed here")

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
EDGES = st.sampled_from(["", '"', "\\N", "\\.", ",", "\n", "\r", "\r\n", "'", "null", "é", "e\u0301", " ", "\t"])
SCHEMA = pa.schema(
    [
        ("text", pa.string()),
        ("number", pa.int64()),
        ("money", pa.decimal128(28, 8)),
        ("rate", pa.decimal128(38, 18)),
        ("is_it", pa.bool_()),
        ("at", pa.timestamp("us")),
        ("day", pa.date32()),
    ]
)
ROWS = st.fixed_dictionaries(
    {
        "text": st.none() | TEXT | EDGES,
        "number": st.none() | st.integers(-(2**63), 2**63 - 1),
        "money": st.none() | st.decimals("-99999999999999999999", "99999999999999999999", places=8),
        "rate": st.none() | st.decimals("-99999999999999999999", "99999999999999999999", places=18),
        "is_it": st.none() | st.booleans(),
        "at": st.none() | st.datetimes(),
        "day": st.none() | st.dates(),
    }
)
TYPES = "text text, number bigint, money numeric(28, 8), rate numeric(38, 18), is_it boolean, at timestamp, day date"
IN_PLACE = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def connection(server: PostgresServer) -> Iterator[Any]:
    """A connection to a database of its own, with a mart built and not published."""
    with_marts = psycopg2.connect(server.url(server.make_database()))
    with_marts.autocommit = True
    run(
        with_marts, "create schema marts_building; create table marts_building.payouts (id text, amount numeric(28, 8))"
    )
    yield with_marts
    with_marts.close()


def run(connection: Any, sql: str) -> list[tuple[Any, ...]]:
    """Rows of *sql*, which may give none."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return [] if cursor.description is None else cursor.fetchall()


def published(connection: Any) -> list[tuple[Any, ...]]:
    """The published rows."""
    return sorted(run(connection, "select * from marts.payouts"), key=repr)


BUILDS = st.lists(
    st.dictionaries(
        st.sampled_from(["a", "b", "c", "d", None]),
        st.none() | st.decimals("-1", "1", places=8),
        max_size=5,
    ),
    min_size=2,
    max_size=3,
)


@IN_PLACE
@given(builds=BUILDS)
def test_readers_have_the_rows_of_the_newest_build(connection: Any, builds: list[dict[str | None, Decimal]]) -> None:
    """Whatever rows come, go, change or are null: what was built is what is published."""
    for build in builds:
        run(connection, "truncate marts_building.payouts")
        with connection.cursor() as cursor:
            cursor.executemany("insert into marts_building.payouts values (%s, %s)", list(build.items()))
        publish_marts(connection, 1)
        assert published(connection) == sorted(build.items(), key=repr)


def test_rows_that_did_not_change_are_not_written_again(connection: Any) -> None:
    """A build costs its readers' table what has changed, not its size."""
    run(connection, "insert into marts_building.payouts values ('same', null), ('other', 1)")
    assert not is_published(connection)
    publish_marts(connection, 1)
    assert is_published(connection)
    before = dict(run(connection, "select id, ctid::text from marts.payouts"))
    run(connection, "update marts_building.payouts set amount = 2 where id = 'other'")
    publish_marts(connection, 1)
    after = dict(run(connection, "select id, ctid::text from marts.payouts"))
    assert (after["same"] == before["same"], after["other"] == before["other"]) == (True, False)


def test_a_mart_with_other_columns_keeps_its_grants_and_views(connection: Any, server: PostgresServer) -> None:
    """A new version may add, drop and widen columns; tables of others in `marts` stay."""
    run(connection, "insert into marts_building.payouts values ('a', 1)")
    publish_marts(connection, 1)
    run(connection, "drop role if exists viewer; create role viewer login; create table marts.mine as select 1 as n")
    run(connection, "grant usage on schema marts to viewer; grant select on marts.payouts to viewer")
    run(connection, "create view public.ids as select id from marts.payouts")
    run(connection, "drop table marts_building.payouts")
    run(connection, "create table marts_building.payouts as select true as is_new, 'a' as id, 7::bigint as number")
    publish_marts(connection, 1)
    database = connection.info.dbname
    viewer = psycopg2.connect(server.url(database, user="viewer"))
    assert run(viewer, "select is_new, id, number from marts.payouts") == [(True, "a", 7)]
    viewer.close()
    assert run(connection, "select * from public.ids") == [("a",)]
    assert run(connection, "select * from marts.mine") == [(1,)]


def test_a_reader_of_a_mart_whose_columns_change_is_waited_for(connection: Any, server: PostgresServer) -> None:
    """For so long, and then in a sentence; until then every mart stays as it was."""
    publish_marts(connection, 1)
    run(connection, "alter table marts_building.payouts add column more text")
    run(connection, "create table marts_building.another as select 1 as n")
    reader = psycopg2.connect(server.url(connection.info.dbname))
    run(reader, "select * from marts.payouts")
    with pytest.raises(WarehouseLockedError, match="readers keep the marts of the build before"):
        publish_marts(connection, 0.2)
    assert run(connection, "select to_regclass('marts.another')") == [(None,)]
    reader.rollback()
    publish_marts(connection, 0.2)
    assert run(connection, "select more from marts.payouts") == []
    reader.close()


@pytest.mark.parametrize("columns", ["id text", "id text, amount text"], ids=["gone", "of another type"])
def test_a_view_on_a_column_that_changes_is_named(connection: Any, columns: str) -> None:
    """It is its owner's to change, and until then every mart stays as it was."""
    run(connection, "insert into marts_building.payouts values ('a', 1)")
    publish_marts(connection, 1)
    run(connection, "create view public.amounts as select amount from marts.payouts")
    run(connection, f"drop table marts_building.payouts; create table marts_building.payouts ({columns})")
    with pytest.raises(BuildError, match=r"view amounts depends on column .*Drop it and build again"):
        publish_marts(connection, 1)
    assert published(connection) == [("a", 1)]


@IN_PLACE
@given(rows=st.lists(ROWS, max_size=4))
def test_rows_come_back_as_they_went(connection: Any, rows: list[dict[str, Any]]) -> None:
    """Nulls, empty texts, quotes, line ends, the largest numbers: nothing is changed on the way in or out."""
    table = pa.Table.from_pylist(rows, SCHEMA)
    run(connection, f"drop table if exists moved; create table moved ({TYPES})")
    copy_in(connection, "moved", table)
    found = fetch(connection, "select * from moved")
    assert found.schema == SCHEMA
    assert sorted(found.to_pylist(), key=repr) == sorted(table.to_pylist(), key=repr)


def test_a_row_larger_than_any_buffer_comes_back(connection: Any) -> None:
    """A payload may have megabytes."""
    put(connection, "large", pa.table({"payload": ["x\n" * 3_000_000, "small"]}))
    assert fetch(connection, "select length(payload) as size from large order by 1 desc").to_pylist() == [
        {"size": 6_000_000},
        {"size": 5},
    ]
    assert fetch(connection, "select payload from large").column("payload")[0].as_py() == "x\n" * 3_000_000


def test_sums_are_numbers_with_the_places_they_need(connection: Any) -> None:
    """The server does not say how many places a sum has; what is no number stays text."""
    run(connection, "insert into marts_building.payouts values ('a', 1.5), ('b', 2.25)")
    [row] = fetch(
        connection,
        "select sum(amount) as total, 'NaN'::numeric as none, null::numeric as nothing, count(*) as rows "
        "from marts_building.payouts",
    ).to_pylist()
    assert row == {"total": Decimal("3.75"), "none": "NaN", "nothing": None, "rows": 2}
