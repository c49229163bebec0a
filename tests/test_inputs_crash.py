"""A loader of inputs killed between two instructions: the next one leaves the rows that a whole one would have."""

import shutil
from pathlib import Path

import pytest

from tests.input_files import NOON, InputLine, shape, write_text
from tests.killed_process import Point, run_and_die

RATES = "rate_date,base_currency,quote_currency,rate\n"

POINTS: dict[str, Point] = {
    "package extracted": ("dlt:Pipeline.normalize", 1),
    "package normalized": ("dlt:Pipeline.load", 1),
    "one table copied, not marked done": ("dlt.common.storages.load_package:PackageStorage.save_pending_transition", 1),
    "merged, not committed": ("dlt.destinations.impl.duckdb.sql_client:DuckDbSqlClient.commit_transaction", 1),
    "loaded, old rows not taken away": ("pipelines.input_tables:HeldInputs.drop_rows", 1),
    "loaded, not recorded": ("pipelines.input_tables:HeldInputs.record", 1),
}


def _load(root: Path) -> InputLine:
    line = InputLine(root)
    line.load(shape("fx_rates"), root / "in" / "*.csv")
    return line


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three files loaded; then one changed, one emptied, one new, and one of them with a wrong row."""
    root = tmp_path_factory.mktemp("begun")
    for day in (1, 2, 3):
        write_text(root / "in" / f"{day}.csv", RATES + f"2026-07-0{day},EUR,USD,1.{day}\n")
    _load(root)
    write_text(root / "in" / "1.csv", RATES + "2026-07-01,EUR,USD,9\n2026-07-08,EUR,USD,0\n", NOON + 1)
    write_text(root / "in" / "2.csv", RATES, NOON + 1)
    write_text(root / "in" / "4.csv", RATES + "2026-07-04,EUR,USD,1.4\n")
    return root


def assert_the_next_load_makes_up_for_it(begun: Path, root: Path, point: str, *, keeps_state: bool) -> None:
    shutil.copytree(begun, root)
    run_and_die(POINTS[point], _load, root, start="fork")
    if not keeps_state:
        shutil.rmtree(root / "state")
    line = _load(root)
    rates = [(row["rate_date"].day, float(row["rate"])) for row in line.table("fx_rates")]
    assert rates == [(1, 9.0), (3, 1.3), (4, 1.4)]
    assert line.errors() == [("1.csv", 3, "rate", "is not above 0")]
    assert line.query("select count(*) from raw.fx_rates_rows") == [(3,)]
    assert line.load(shape("fx_rates"), root / "in" / "*.csv").files == ()


@pytest.mark.parametrize("point", ["package extracted", "merged, not committed", "loaded, not recorded"])
def test_a_killed_load_is_made_up_for_by_the_next(begun: Path, tmp_path: Path, point: str) -> None:
    """Wherever it died, the tables are what the files say."""
    assert_the_next_load_makes_up_for_it(begun, tmp_path / "line", point, keeps_state=True)


@pytest.mark.slow
@pytest.mark.parametrize("keeps_state", [True, False])
@pytest.mark.parametrize("point", POINTS)
def test_a_load_killed_anywhere_is_made_up_for(begun: Path, tmp_path: Path, point: str, *, keeps_state: bool) -> None:
    """At every point, and with the loader's working files or without."""
    assert_the_next_load_makes_up_for_it(begun, tmp_path / "line", point, keeps_state=keeps_state)


@pytest.mark.slow
def test_a_first_load_killed_is_made_up_for(tmp_path: Path) -> None:
    """Tables made by half are no obstacle."""
    write_text(tmp_path / "in" / "1.csv", RATES + "2026-07-01,EUR,USD,1.1\n")
    for point in ("package normalized", "loaded, not recorded"):
        run_and_die(POINTS[point], _load, tmp_path, start="fork")
    line = _load(tmp_path)
    assert line.query("select file, line from raw.fx_rates") == [("1.csv", 2)]
