"""The optional inputs on a PostgreSQL server and in a lake: the same rows as in a DuckDB file."""

from pathlib import Path
from typing import Any

import pytest

from models.inputs import INPUTS
from pipelines.ducklake_warehouse import DuckLakeWarehouse
from pipelines.input_changes import Input
from pipelines.inputs import InputLoader
from pipelines.postgres_warehouse import PostgresWarehouse
from pipelines.warehouse import Warehouse
from tests.input_files import NOON, ROWS, InputLine, shape, write_file, write_text
from tests.postgres_server import PROGRAMS, PostgresServer

pytestmark = pytest.mark.skipif(PROGRAMS is None, reason="PostgreSQL is not installed here")


def _rows(warehouse: Warehouse) -> dict[str, list[dict[str, Any]]]:
    with warehouse.session() as session:
        return {
            name: session.arrow(f'select * from raw.{name} order by file collate "C", line')
            .drop_columns(["loaded_at"])
            .to_pylist()
            for name in (*INPUTS, "input_errors")
        }


@pytest.mark.parametrize("engine", ["postgres", pytest.param("ducklake", marks=pytest.mark.slow)])
def test_every_warehouse_holds_the_same_inputs(tmp_path: Path, server: PostgresServer, engine: str) -> None:
    """New files, one that changed, one without a good row left: row for row what DuckDB holds."""
    url = server.url(server.make_database())
    warehouse: Warehouse = (
        PostgresWarehouse(url, tmp_path / "state", patience=5)
        if engine == "postgres"
        else DuckLakeWarehouse(url, tmp_path / "lake", tmp_path / "state", patience=5)
    )
    twin = InputLine(tmp_path / "twin")
    inputs = [(shape(name), tmp_path / "in" / name / "*.csv") for name in ROWS]
    for name, rows in ROWS.items():
        write_file(tmp_path / "in" / name / "b.csv", rows)
        # Of one time and with the same keys: a server's language would put "B" behind "b".
        write_file(tmp_path / "in" / name / "B.csv", rows[:1])
    other = InputLoader([Input(*each) for each in inputs], warehouse, tmp_path / "state")
    for _ in range(2):
        for loader in (twin.loader(*inputs), other):
            loader.load()
        assert _rows(warehouse) == _rows(twin.warehouse)
        write_file(tmp_path / "in" / "fx_rates" / "b.csv", ROWS["fx_rates"][1:], NOON + 1)
        write_text(tmp_path / "in" / "accounting_periods" / "b.csv", "period_month,closed_at\nMay,\n", NOON + 1)
    assert _rows(warehouse)["input_errors"] != []
