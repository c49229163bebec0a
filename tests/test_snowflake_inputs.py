"""
The optional inputs on Snowflake, as far as an emulator plays it: `hookmart load` leaves the rows of DuckDB.

It runs where Snowflake's adapter and the emulator are: `make clouds` makes that environment and runs this there.
"""

import importlib.util
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hookmart.commands import app
from models.inputs import INPUTS
from tests.input_files import FORMATS, NOON, ROWS, write_file
from tests.line import BareLine, Line
from tests.test_inputs_sql import RENAMED, Office

if importlib.util.find_spec("fakesnow") is None:
    pytest.skip("Snowflake's emulator is not installed here; `make clouds` does it", allow_module_level=True)

from tests.fake_snowflake import emulated
from tests.snowflake_line import URL, CloudLine

pytestmark = pytest.mark.slow

TABLES = (*INPUTS, *(f"{name}_rows" for name in INPUTS), "input_errors", "input_files")


def files_in(inputs: Path, ending: str) -> str:
    """The configuration of all inputs, each read from the files that end so."""
    return "".join(f'[inputs.{name}]\npath = "{inputs / name}/*.{ending}"\n' for name in INPUTS)


class Installation:
    """A configuration, run by `hookmart load`."""

    def __init__(self, line: BareLine, warehouse: str, inputs: str) -> None:
        self.line = line
        line.root.mkdir(parents=True, exist_ok=True)
        self._path = line.root / "hookmart.toml"
        self._path.write_text(
            "[stage]\nsegment_max_age_seconds = 0.01\n"
            f'[warehouse]\n{warehouse}state = "{line.root / "state"}"\n{inputs}'
        )

    def load(self) -> tuple[int, dict[str, Any], str]:
        """Return exit code, what was done, and what was told."""
        ran = CliRunner().invoke(app, ["load", "--config", str(self._path), "--json"])
        assert ran.stdout, (ran.stderr, ran.exception)
        return ran.exit_code, json.loads(ran.stdout), ran.stderr

    def rows(self, table: str, *without: str) -> list[list[tuple[str, object]]]:
        """The rows of a table of `raw`, without what the clock decides, in an order that no engine decides."""
        rows = self.line.query_warehouse(f"select * from raw.{table}")
        names = {"loaded_at", *without}
        mine = (
            {name: value for name, value in row.items() if name not in names and name[:5] != "_dlt_"} for row in rows
        )
        return sorted((sorted(row.items()) for row in mine), key=repr)


class Both:
    """The same inputs into Snowflake and into DuckDB."""

    def __init__(self, root: Path, inputs: str) -> None:
        url = 'destination = "snowflake"\ncredentials = "env:WAREHOUSE_URL"\n'
        self.cloud = Installation(CloudLine(root / "cloud"), url, inputs)
        file = f'database = "{root / "twin" / "warehouse.duckdb"}"\n'
        self.twin = Installation(Line(root / "twin"), file, inputs)

    def load(self, tables: Sequence[str] = TABLES, *without: str) -> tuple[int, dict[str, Any]]:
        """Load into both, see that both say and hold the same, and return exit code and what was done."""
        ours = self.cloud.load()
        assert ours == self.twin.load()
        for table in tables:
            assert self.cloud.rows(table, *without) == self.twin.rows(table, *without), table
        return ours[:2]


@pytest.fixture(autouse=True)
def emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("WAREHOUSE_URL", URL)
    with emulated():
        yield


@pytest.mark.parametrize("ending", FORMATS)
def test_the_command_leaves_the_same_inputs_as_on_duckdb(tmp_path: Path, ending: str) -> None:
    """All four, from each kind of file: new, again, changed, with a wrong row, refused, renamed, and mended."""
    inputs = tmp_path / "in"
    both = Both(tmp_path, files_in(inputs, ending))
    cloud = both.cloud
    for name, rows in ROWS.items():
        write_file(inputs / name / f"b.{ending}", rows)
        write_file(inputs / name / f"a.{ending}", rows[:1])
    code, done = both.load()
    assert (code, done["input_files"]) == (0, 2 * len(ROWS))
    assert [len(cloud.rows(name)) for name in ROWS] == [len(rows) for rows in ROWS.values()]
    code, done = both.load()
    assert (code, done["input_files"]) == (0, 0)

    for name, rows in ROWS.items():
        write_file(inputs / name / f"b.{ending}", rows[1:], NOON + 1)
    rates = ROWS["fx_rates"][1]
    write_file(inputs / "fx_rates" / f"b.{ending}", [rates, {**rates, "quote_currency": "none"}], NOON + 1)
    (inputs / "marketing_spend" / f"a.{ending}").rename(inputs / "marketing_spend" / f"c.{ending}")
    renamed = [{"period": row["period_month"], "closed_at": row["closed_at"]} for row in ROWS["accounting_periods"]]
    write_file(inputs / "accounting_periods" / f"a.{ending}", renamed, NOON + 1)
    code, done = both.load()
    assert (code, done["input_wrong_rows"], done["input_refused_files"]) == (1, 1, 1)
    assert len(cloud.rows("input_errors")) == 2

    write_file(inputs / "accounting_periods" / f"a.{ending}", ROWS["accounting_periods"][:1], NOON + 2)
    write_file(inputs / "fx_rates" / f"b.{ending}", [rates], NOON + 2)
    code, done = both.load()
    assert (code, done["input_files"]) == (0, 2)
    assert cloud.rows("input_errors") == []


@pytest.mark.parametrize("cursor", ["", 'cursor = "changed_at"\n'], ids=["whole", "by cursor"])
def test_a_table_of_another_database_is_loaded_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cursor: str
) -> None:
    """Rows that are new, changed or gone there, read whole or by a cursor."""
    office = Office(tmp_path)
    monkeypatch.setenv("OFFICE_URL", office.url)
    renamed = ", ".join(f'{name} = "{theirs}"' for name, theirs in RENAMED.items())
    both = Both(
        tmp_path, f'[inputs.fx_rates]\nsql = "env:OFFICE_URL"\ntable = "rates"\n{cursor}columns = {{ {renamed} }}\n'
    )
    # A table has no time of its own but that of its reading.
    of_rates = ("fx_rates", "fx_rates_rows", "input_errors", "input_files"), "modified_at"
    for day in (1, 2):
        office.add(day, f"1.{day}", f"0{day} 10:00:00")
    assert both.load(*of_rates)[1]["input_rows"] == 2
    assert both.load(*of_rates)[1]["input_files"] == 0
    office.execute("delete from rates where rate = 1.1")
    office.add(2, "1.25", "03 10:00:00")
    office.add(3, "1.3", "04 10:00:00")
    assert both.load(*of_rates)[0] == 0
    assert len(both.cloud.rows("fx_rates")) == (3 if cursor else 2)
