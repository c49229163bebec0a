"""The open DuckDB file, where a user of it would not look."""

import shutil
from pathlib import Path

import duckdb
import pytest

from pipelines.duckdb_warehouse import DuckDBWarehouse

_LITTLE = 128 * 1024 * 1024


def test_less_memory_than_is_taken_ends_no_transaction(tmp_path: Path) -> None:
    """What a load has written stays written, though DuckDB cannot do with so little and says so."""
    warehouse = DuckDBWarehouse(tmp_path / "warehouse.duckdb", patience=1)
    columns = ", ".join(f"range as number_{column}" for column in range(40))
    with warehouse.session() as session:
        with session.loading(None):
            for table in range(20):
                session.execute(f"create table wide_{table} as select {columns} from range(3)")
            session.limit_memory(1_000_000)
            assert session.execute("select count(*) from wide_1") == [(3,)]
        assert session.execute("select count(*) from wide_19") == [(3,)]


@pytest.mark.parametrize("rows", [3, 300], ids=["of few bytes", "of many"])
def test_a_log_that_takes_more_memory_than_a_load_has_is_read_all_the_same(tmp_path: Path, rows: int) -> None:
    """A build that was killed leaves all that it did in the log; the load after it has little memory, and goes on."""
    warehouse = DuckDBWarehouse(tmp_path / "warehouse.duckdb", patience=1)
    columns = ", ".join(f"(hash(range + {column}) * 1.0)::varchar as text_{column}" for column in range(100))
    with warehouse.session() as session:
        for table in range(30):
            session.execute(f"create table wide_{table} as select {columns} from range(1)")
        session.settle()
        with session.loading(None):
            for table in range(30):
                session.execute(f"insert into wide_{table} select {columns} from range({rows})")
        killed = DuckDBWarehouse(tmp_path / "killed" / "warehouse.duckdb", patience=1)
        killed.database.parent.mkdir()
        for suffix in ("", ".wal"):
            shutil.copy(f"{warehouse.database}{suffix}", f"{killed.database}{suffix}")
    with killed.session(_LITTLE) as session:
        counts = [session.execute(f"select count(*) from wide_{table}")[0][0] for table in range(30)]
        [(limit,)] = session.execute("select current_setting('memory_limit')")
    assert counts == [rows + 1] * 30
    assert limit == "128.0 MiB"


def test_the_session_keeps_its_settings_when_it_was_lent(tmp_path: Path) -> None:
    """Days and months are those of UTC afterwards too, wherever this runs, and closing writes no log into the file."""
    warehouse = DuckDBWarehouse(tmp_path / "warehouse.duckdb", patience=1)
    asked = (
        "select current_setting('TimeZone'), current_setting('checkpoint_threshold'), current_setting('memory_limit')"
    )
    with warehouse.session() as session:
        taken = session.execute(asked)
        session.limit_memory(500_000_000)
        before = session.execute(asked)
        assert before != taken
        with session.lent():
            pass
        assert session.execute(asked) == before
        assert before[0][0] == "UTC"
        session.compact()
        assert session.execute(asked) == before


def test_whoever_is_lent_the_file_leaves_its_rows_where_they_are(tmp_path: Path) -> None:
    """dbt opens the file as DuckDB does by itself: with a log to write into it, that would join all row groups."""
    warehouse = DuckDBWarehouse(tmp_path / "warehouse.duckdb", patience=1)
    groups = "select count(distinct row_group_id) from pragma_storage_info('numbers')"
    with warehouse.session() as session:
        session.execute("create table numbers as select range as number from range(100_000)")
        session.settle()
        session.execute("delete from numbers where number % 30_000 = 1")
        before = session.execute(groups)
        with session.lent(), duckdb.connect(warehouse.database) as lent:
            assert lent.execute("select count(*) from numbers").fetchall() == [(99_996,)]
        assert session.execute(groups) == before


@pytest.mark.parametrize("name", ["memory", "temp", "main", "ware 'house'", 'a "b"'])
def test_a_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    """Those of databases that DuckDB has by itself too; what was written is in the file, for whoever opens it."""
    database = tmp_path / f"{name}.duckdb"
    with DuckDBWarehouse(database, patience=1).session() as session:
        session.execute("create table here as select 1 as one")
        session.compact()
        assert session.execute("select one from here") == [(1,)]
    with duckdb.connect(database, read_only=True) as connection:
        assert connection.execute("select one from here").fetchall() == [(1,)]


def test_rows_are_in_groups_of_our_size_in_a_file_of_before_too(tmp_path: Path) -> None:
    """A group is what is compressed at once, and written anew at once; what was written before stays as it is."""
    database = tmp_path / "warehouse.duckdb"
    with duckdb.connect(database) as connection:
        connection.execute("create table numbers as select range as number from range(50_000)")
    with DuckDBWarehouse(database, patience=1).session() as session:
        session.execute("insert into numbers select range from range(100_000)")
        session.settle()
        groups = session.execute("""
            select max(start + count) from pragma_storage_info('numbers')
            where segment_type != 'VALIDITY' group by row_group_id order by row_group_id
        """)
        assert session.execute("select count(*), sum(number) from numbers") == [(150_000, 6_249_925_000)]
    assert groups == [(50_000,), (30_720,), (30_720,), (30_720,), (7_840,)]
