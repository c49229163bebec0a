"""Our own run of what dbt compiled against dbt's: the same tables, columns, types and rows; and what it refuses."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import pipelines.compiled_models
import pipelines.mart_changes
from pipelines.build import Builder
from pipelines.compiled_models import CompiledModels
from pipelines.compiled_store import KEPT, CompiledStore
from pipelines.duckdb_warehouse import DuckDBWarehouse
from pipelines.errors import BuildError
from pipelines.project_graph import Node, ProjectGraph
from pipelines.selection import Selection
from tests.line import Line
from tests.programme_inputs import programme_inputs
from tests.programmes import random_programme, received

SEED = 12
POSTS = received(random_programme(SEED, partners=4, conversions=8, payouts=5, clicks=4), SEED)
_COLUMNS = """
    select table_schema, table_name, table_type, column_name, data_type
    from information_schema.columns
    inner join information_schema.tables using (table_schema, table_name)
    where table_schema in ('staging', 'intermediate', 'marts')
    order by table_schema, table_name, ordinal_position
"""


def everything(line: Line) -> dict[str, tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]]:
    """Columns with their types, in their order, and the rows, of every table and view that a build makes."""
    with line.warehouse.session() as session:
        columns: dict[str, list[tuple[Any, ...]]] = {}
        for schema, table, *column in session.execute(_COLUMNS):
            columns.setdefault(f"{schema}.{table}", []).append(tuple(column))
        return {
            table: (names, session.execute(f"from {table} order by all"))
            for table, names in columns.items()
            if table != "intermediate.builds"
        }


def test_dbts_own_run_makes_the_same_tables(tmp_path: Path) -> None:
    """
    What is touched, what is derived from it and what is shown: `dbt run` and our own run agree, row for row.

    Of all anew and of what a second load touches; whoever runs the project by other hands gets what we make.
    """
    ours = Line(tmp_path / "ours", "Europe/Malta")
    ours.load_inputs(programme_inputs(SEED).rows())
    for number, (posts, options) in enumerate([(POSTS[::2], ["--full-refresh"]), (POSTS[1::2], [])]):
        ours.stage_posts(posts)
        ours.load()
        theirs = Line(shutil.copytree(ours.root, tmp_path / str(number), symlinks=True), "Europe/Malta")
        ours.derive()
        run_by_dbt(theirs, *options)
        assert everything(ours) == everything(theirs)
    assert len(everything(ours)["marts.data_exceptions"][1]) > 0


def run_by_dbt(line: Line, *options: str) -> None:
    """Run the project as somebody does who has only dbt."""
    with line.warehouse.session() as session:
        line.builder.look_at(session)
    # Without the variable the same rows, of more keys.
    assert line.builder._dbt("run", *options, variables={"loads_whole": True}) > 0


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDBWarehouse:
    return DuckDBWarehouse(tmp_path / "warehouse.duckdb", patience=1)


PROMISED = {"partner_id": "text", "amount": "numeric(28, 8)"}


def model(sql: str, name: str = "payouts", columns: Mapping[str, str] | None = None, **about: Any) -> CompiledModels:
    """A project of one model."""
    about = {"materialized": "table", **about}
    node = Node(name, relation=f"marts.{name}", schema="marts", columns=columns, **about)
    return CompiledModels(ProjectGraph({}, {"model.payouts": node}), {"model.payouts": sql})


def run_all(warehouse: DuckDBWarehouse, compiled: CompiledModels) -> list[tuple[Any, ...]]:
    """Derive it; return its columns with their types."""
    with warehouse.session() as session:
        assert compiled.run_all(session, (), 1, lambda _name: None) == 1
        return [row[:2] for row in session.execute("describe marts.payouts")]


def test_columns_come_in_the_order_of_the_contract(warehouse: DuckDBWarehouse) -> None:
    """As dbt's do; types are compared as the engine calls them."""
    sql = "select cast(1 as decimal(28, 8)) as amount, 'p' as partner_id"
    expected = [("partner_id", "VARCHAR"), ("amount", "DECIMAL(28,8)")]
    assert run_all(warehouse, model(sql, columns=PROMISED)) == expected


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("select 'p' as partner_id, 1.5 as amount", r"amount is DECIMAL\(2,1\), not DECIMAL\(28,8\)"),
        ("select 'p' as partner_id, cast(1 as double) as amount", "amount is DOUBLE, not"),
        ("select 'p' as partner_id, cast(1 as numeric(28, 8)) as amount, 1 as extra", "extra is INTEGER, not None"),
        ("select 'p' as partner_id", "amount"),
    ],
)
def test_another_column_than_the_contract_says_is_an_error(warehouse: DuckDBWarehouse, sql: str, told: str) -> None:
    """Of another type, one too many or too few; what the model had before stays."""
    good = "select 'before' as partner_id, cast(1 as numeric(28, 8)) as amount"
    run_all(warehouse, model(good, columns=PROMISED))
    with pytest.raises(BuildError, match=f"payouts: .*{told}"):
        run_all(warehouse, model(sql, columns=PROMISED))
    with warehouse.session() as session:
        assert session.execute("select partner_id from marts.payouts") == [("before",)]


def test_of_a_large_mart_only_the_rows_that_differ_are_changed(
    warehouse: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows come, go and change, to null and from it; a publication is told of these keys, and of no other."""
    monkeypatch.setattr(pipelines.compiled_models, "_LARGE", 40)
    compiled = model("from main.paid", columns=PROMISED, primary_key=("partner_id",))
    with warehouse.session() as session:
        session.execute(
            "create table main.paid as select 'p' || i as partner_id, cast(nullif(i, 7) as decimal(28, 8)) as amount"
            " from range(40) as t(i)"
        )
        compiled.run_all(session, (), 1, lambda _name: None)
        session.execute(
            "delete from main.paid where partner_id = 'p3'; insert into main.paid values ('p99', 1);"
            "update main.paid set amount = null where partner_id = 'p5';"
            "update main.paid set amount = 7 where partner_id = 'p7'"
        )
        compiled.run(session, Selection(("payouts",), (), ()), 2, lambda _name: None)
        assert session.execute("from marts.payouts order by all") == session.execute("from main.paid order by all")
        changed = session.execute("select partner_id from changes.keys_payouts order by all")
        assert changed == [("p3",), ("p5",), ("p7",), ("p99",)]
        session.execute("drop table marts.payouts")
        compiled.run(session, Selection(("payouts",), (), ()), 3, lambda _name: None)
        assert session.execute("from marts.payouts order by all") == session.execute("from main.paid order by all")


def test_marts_are_the_same_where_only_what_differs_of_them_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of every mart, as if all were large: what readers have after several builds is what they have of a full one."""
    monkeypatch.setattr(pipelines.compiled_models, "_LARGE", 0)
    monkeypatch.setattr(pipelines.mart_changes, "_MOST_CHANGED", float("inf"))
    line = Line(tmp_path, "Europe/Malta")
    line.load_inputs(programme_inputs(SEED).rows())
    for part in range(3):
        line.stage_posts(POSTS[part::3])
        line.load()
        line.build()
    with line.warehouse.session() as session:
        found = session.execute("select table_name from duckdb_tables() where schema_name = 'changes'")
    differing = {name for (name,) in found}
    assert {"keys_data_exceptions", "keys_partner_economics", "keys_commission_statement_monthly"} <= differing
    incremental = line.marts()
    line.builder.build(full_refresh=True)
    assert line.marts() == incremental


def test_a_view_makes_way_for_a_table_and_a_table_for_a_view(warehouse: DuckDBWarehouse) -> None:
    """A model may change its materialization from one version to the next."""
    for materialized in ("table", "view", "table"):
        run_all(warehouse, model("select 1 as one", materialized=materialized))


def test_what_was_compiled_is_found_by_the_next_process(tmp_path: Path) -> None:
    """Every field as it was; what cannot be read was not kept, and the oldest of many are forgotten."""
    compiled = model("select 1 as amount", columns=PROMISED)
    CompiledStore(tmp_path).put("a", compiled)
    assert CompiledStore(tmp_path).get("a") == compiled
    assert CompiledStore(tmp_path).get("b") is None
    (tmp_path / "a.json").write_text('{"graph": {')
    assert CompiledStore(tmp_path).get("a") is None
    store = CompiledStore(tmp_path)
    for number in range(KEPT + 1):
        store.put(f"k{number}", compiled)
    assert len(list(tmp_path.iterdir())) == KEPT
    store.forget(f"k{KEPT}")
    assert store.get(f"k{KEPT}") is None


def test_a_second_process_builds_without_dbt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parsed and compiled once, the project is run as it was, until its SQL or a setting changes."""
    line = Line(tmp_path)
    line.stage_posts(POSTS[:9])
    line.load()
    line.build()
    line.stage_posts(POSTS[9:12])
    line.load()
    line.build()

    def refuse(*_arguments: object, **_options: object) -> None:
        raise AssertionError("dbt was asked")

    monkeypatch.setattr(Builder, "_parsed_project", refuse)
    other = Builder(line.warehouse, tmp_path / "published", tmp_path / "state" / "dbt")
    line.stage_posts(POSTS[12:])
    line.load()
    assert not other.build().is_full
    incremental = line.marts()
    assert other.build(full_refresh=True).is_full
    assert line.marts() == incremental
    with pytest.raises(AssertionError, match="dbt was asked"):
        Builder(line.warehouse, tmp_path / "published", tmp_path / "state" / "dbt", "Asia/Tokyo").build()
