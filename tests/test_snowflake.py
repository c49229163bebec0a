"""
Snowflake as far as an emulator plays it: loaded by our loader, built by dbt-snowflake, the same rows as on DuckDB.

It runs where Snowflake's adapter and the emulator are: `make clouds` makes that environment and runs this there.
"""

import importlib.util
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.errors import QueryError, WarehouseAwayError, WarehouseLockedError
from pipelines.raw_tables import RAW_TABLES
from pipelines.status import read_status
from tests.line import BareLine, Line
from tests.postgres_line import sorted_marts
from tests.programmes import mutate_delivery, random_programme

if importlib.util.find_spec("fakesnow") is None:
    pytest.skip("Snowflake's emulator is not installed here; `make clouds` does it", allow_module_level=True)

from pipelines.cloud_warehouse import CloudSession, CloudWarehouse
from tests.fake_snowflake import emulated
from tests.snowflake_line import CloudLine

TIMEZONE = "Europe/Malta"
POSTS = random_programme(5, partners=2, conversions=3, payouts=1, clicks=2)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudLine]:
    """
    A programme in three loads, shuffled and repeated, the first two built in full and the third on top.

    The second was received before the first, so rows of the first have given way to those of the second.
    """
    with emulated():
        line = CloudLine(tmp_path_factory.mktemp("snowflake"), TIMEZONE)
        line.twin = Line(tmp_path_factory.mktemp("twin"), TIMEZONE)
        parts = mutate_delivery(
            random_programme(3, partners=2, conversions=4, payouts=2, clicks=3), random.Random(3), batches=3
        )
        changed = [{**post, "data": {**post["data"], "note": "another body"}} for post in parts[1][:4]]
        segments = []
        for posts in ([*parts[0], *changed], parts[1], [*parts[2], *changed, *parts[0][:3]]):
            line.stage_posts(posts)
            [segment] = line.stage.closed_segments()
            segments.append(segment.path.rename(line.root / segment.path.name))
        for each in (line.twin, line):
            for path in (segments[1], segments[0]):
                shutil.copy(path, each.stage.root)
                each.load()
            assert each.build().is_full
            shutil.copy(segments[2], each.stage.root)
            each.load()
            assert not each.build().is_full
        yield line


def raw_rows(line: BareLine, table: str) -> list[list[tuple[str, object]]]:
    """The rows of a table of `raw`, without what the clock decides, in an order that no engine decides."""
    rows = line.query_warehouse(f"select * from raw.{table}")
    mine = (
        {name: value for name, value in row.items() if name not in {"loaded_at", "replayed_at"} and name[:5] != "_dlt_"}
        for row in rows
    )
    return sorted((sorted(row.items()) for row in mine), key=repr)


def test_every_table_and_mart_is_the_same_as_on_duckdb(line: CloudLine) -> None:
    """Loaded and built by the same pipeline, full and incremental, row for row."""
    for table in RAW_TABLES:
        assert raw_rows(line, table) == raw_rows(line.twin, table), table
    assert line.query_warehouse("select 1 as one from raw.displaced_events where is_conflict limit 1")
    marts = sorted_marts(line.marts())
    twins = sorted_marts(line.twin.marts())
    assert marts.keys() == twins.keys()
    for name, rows in twins.items():
        assert marts[name] == rows, name
    assert read_status(line.root / "state").sources == read_status(line.twin.root / "state").sources
    assert not line.build().is_new


def test_a_load_that_fails_leaves_nothing_and_is_read_again(line: CloudLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between what dlt brought and the last table of the merge it is all or nothing, and no row comes twice."""
    before = {table: raw_rows(line, table) for table in RAW_TABLES}
    line.stage_posts(POSTS)
    merge = CloudSession._merge

    def failing(session: CloudSession, table: str) -> None:
        if table == "loads":
            session.execute("select * from nothing.at_all")
        merge(session, table)

    with monkeypatch.context() as patched:
        patched.setattr(CloudSession, "_merge", failing)
        with pytest.raises(WarehouseAwayError, match="stays staged"):
            line.load()
    assert {table: raw_rows(line, table) for table in RAW_TABLES} == before
    line.load()
    ids = [(row["source_id"], row["event_id"]) for row in line.query_warehouse(
        "select source_id, event_id from raw.click_events union all "
        "select source_id, event_id from raw.conversion_events union all "
        "select source_id, event_id from raw.commission_events union all "
        "select source_id, event_id from raw.payout_events union all "
        "select source_id, event_id from raw.partner_events"
    )]  # fmt: skip
    assert len(ids) == len(set(ids))
    assert len(raw_rows(line, "loads")) > len(before["loads"])


def test_another_loader_is_waited_for(line: CloudLine, tmp_path: Path) -> None:
    """Who does not hold the lease does not write; one that was not renewed for an hour is free."""
    other = CloudWarehouse(line.warehouse.engine, tmp_path / "other", patience=0.1)
    with (
        line.warehouse.session(),
        pytest.raises(WarehouseLockedError, match="Another loader or build"),
        other.session(),
    ):
        pass
    with other.session() as mine:
        mine.execute("update raw.hookmart_lease set expires_at = 0, holder = 'gone' where true")
    with other.session() as mine:
        mine.execute("update raw.hookmart_lease set holder = 'another' where true")
        with pytest.raises(WarehouseLockedError, match="longer than an hour"), mine.lent():
            pass
    line.query_warehouse("update raw.hookmart_lease set holder = '' where true")


def test_a_reader_only_reads(line: CloudLine) -> None:
    """What would write is refused before it is sent, and wrong SQL is said to be wrong."""
    with line.warehouse.reading(line.root) as marts:
        assert marts("select count(*) as n from marts.partners where 1 = $one", {"one": 1}).to_pylist()[0]["n"]
        for wrong in ("delete from marts.partners", "select 1; select 2", "select * from nothing_here", "selec"):
            with pytest.raises(QueryError):
                marts(wrong, {})
