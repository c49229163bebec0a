"""The open DuckDB file, where a user of it would not look."""

from pathlib import Path

from pipelines.duckdb_warehouse import DuckDBWarehouse


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
