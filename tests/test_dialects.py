"""
Every statement that goes to a warehouse, parsed in the words of each engine.

dbt compiles the project with each engine's own adapter, without a connection. Snowflake's, BigQuery's and Redshift's
are in an environment of their own, which `make clouds` makes; PostgreSQL and DuckDB read the same SQL for real in other
tests.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any, cast

import pytest

from models.columns import EVENT_COLUMNS
from models.inputs import INPUTS
from pipelines import cloud_statements as statements
from pipelines.cloud_allocations import ALLOCATIONS
from pipelines.completeness import completeness, days_of_loads, ledger_by_source
from pipelines.fates import KNOWN_SCHEMA
from pipelines.further_ids import rows_with
from pipelines.input_tables import FILES, HeldInputs, latest_rows
from pipelines.quarantine import Quarantine
from pipelines.raw_tables import RAW_TABLES
from pipelines.recount import REOPEN
from pipelines.warehouse import WarehouseSession
from tests.dialects import CLOUDS, faults

ROOT = Path(__file__).parent.parent
CLOUD_PYTHON = ROOT / ".venv-clouds" / "bin" / "python"
NOW = {
    "snowflake": "date_part(epoch_second, current_timestamp())",
    "bigquery": "unix_seconds(current_timestamp())",
    "redshift": "cast(extract(epoch from getdate()) as bigint)",
}


def compiled(python: Path | str, target: str) -> list[tuple[str, str, str]]:
    """Name, branch and SQL of every model and data test."""
    program = [str(python), str(ROOT / "tests" / "compiling.py"), str(ROOT / "dbt_project"), target]
    # Where the project is not installed, what its environment brings to dbt still looks for it.
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(program, capture_output=True, text=True, check=False, env=surroundings)
    assert done.returncode == 0, done.stderr[-2000:]
    return [tuple(each) for each in json.loads(done.stdout)]


def told(found: list[tuple[str, str, str]], dialect: str) -> list[str]:
    """One line per fault: model, dialect, branch, and what is wrong."""
    return [f"{name} ({dialect}, {branch}): {each}" for name, branch, sql in found for each in faults(sql, dialect)]


@pytest.mark.parametrize("dialect", CLOUDS)
def test_every_model_and_test_is_read_by_the_engine(dialect: str) -> None:
    """Compiled by the engine's own adapter, full and incremental, nothing stands there that it does not know."""
    if not CLOUD_PYTHON.exists():
        pytest.skip(f"the adapter of {dialect} is not installed here; `make clouds` makes .venv-clouds, which has it")
    found = compiled(CLOUD_PYTHON, dialect)
    assert {"conversions", "touched_conversions", "money_is_conserved", "replace_keys"} <= {
        name for name, _, _ in found
    }
    of_conversions = {branch: sql for name, branch, sql in found if name == "conversions"}
    assert of_conversions["full"] != of_conversions["incremental"]
    wrong = told(found, dialect)
    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", ["duckdb", "postgres"])
def test_every_model_and_test_is_read_by_our_own_engines(dialect: str) -> None:
    """The same of the engines that are at hand; `make test` runs the SQL on them instead."""
    assert not told(compiled(sys.executable, dialect), dialect)


@pytest.mark.parametrize(
    ("sql", "dialect", "what"),
    [
        ("select a::int from t", "bigquery", "::"),
        ("select a from t union select a from u", "bigquery", "union"),
        ("select a from t where (a, b) in (select a, b from u)", "bigquery", "exists"),
        ("select cast(a as varchar) from t", "bigquery", "varchar"),
        ("select cast(a as decimal(38, 18)) from t", "bigquery", "rate"),
        ("select a at time zone 'UTC' from t", "bigquery", "reporting_date"),
        ("select percentile_cont(0.5) within group (order by a) from t", "bigquery", "row_number"),
        ("select count(*) filter (where a) from t", "snowflake", "case when"),
        ("select string_agg(a, ',') from t", "snowflake", "string_agg"),
        ("select distinct on (a) a, b from t", "snowflake", "row_number"),
        ("select a from t where a is distinct from b", "redshift", "distinct_from"),
        ("select max_by(a, b) from t", "redshift", "max_by"),
        ("with recursive t as (select 1 union all select n from t) select n from t", "redshift", "recursive_columns"),
        ("update t set a = 1", "bigquery", "where"),
        ("select from where", "redshift", "cannot be parsed"),
    ],
)  # fmt: skip
def test_what_an_engine_does_not_know_is_found(sql: str, dialect: str, what: str) -> None:
    """Each rule catches what it is there for, and says what to write instead."""
    assert any(what in each for each in faults(sql, dialect))


class RecordingSession(WarehouseSession):
    """Remembers what it is asked, and knows nothing."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.hidden: set[str] = set()

    def execute(self, sql: str, values: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        assert set(re.findall(r"\$([a-z]\w*)", sql)) <= set(values or {})
        self.asked.append(sql)
        return [(3,)] if sql.startswith(("select max(", "select coalesce(max(")) else []

    def rows(self, sql: str, values: Mapping[str, Any] | None = None) -> Iterator[tuple[Any, ...]]:
        yield from self.execute(sql, values)

    def table_names(self, schema: str) -> set[str]:
        return {"builds"} if schema == "intermediate" else {*RAW_TABLES, *INPUTS, FILES} - self.hidden

    destination = known_events = known_apart_from = remove_rows = add_rows = arrow = publish = is_published = cast(
        "Any", None
    )


class RecordingWarehouse:
    """Gives one session again and again."""

    def __init__(self, session: RecordingSession) -> None:
        self._session = session

    def exists(self) -> bool:
        return True

    def session(self) -> "RecordingWarehouse":
        return self

    def __enter__(self) -> RecordingSession:
        return self._session

    def __exit__(self, *_error: object) -> None:
        pass


def our_own_sql(dialect: str) -> list[str]:
    """What the loader, the status, the quarantine and the publication say to a cloud warehouse."""
    text_type = "string" if dialect == "bigquery" else "varchar(200)"
    session = RecordingSession()
    session.__dict__["long_text_type"] = text_type
    session.last_load_seq()
    session.loaded_batches(["one", "two"])
    session.last_loaded_at()
    session.open_by_source()
    session.secrets_by_source(3)
    session.remove_displaced()
    session.forget_build()
    session.look_again_from(["one"])
    session.last_build()
    session.stamp_build("fingerprint")
    ledger_by_source(session)
    days_of_loads(session, 3)
    completeness(session, {date(2026, 11, 1)})
    completeness(session)
    quarantine = Quarantine(cast("Any", RecordingWarehouse(session)), cast("Any", None))
    quarantine.groups()
    quarantine.events("delivery")
    held = HeldInputs(session)
    held.next_load_seq()
    for name in INPUTS:
        held.records(name)
        held.forget(name, "file", 3)
        held.drop_refusals(name, "file", 3)
        held.session.execute(latest_rows(INPUTS[name], ""))
    session.hidden.add(FILES)
    held.make_views(list(INPUTS))
    information_schema = "raw.information_schema" if dialect == "bigquery" else "information_schema"
    return [
        *session.asked,
        *(sql for raw in RAW_TABLES.values() for sql in statements.merge(raw, [*raw.key, "payload"], "raw_staging_x")),
        statements.held_rows(tuple(EVENT_COLUMNS), KNOWN_SCHEMA.names, "event_id", 3, "1 = 1"),
        statements.table_names(information_schema),
        statements.columns(information_schema),
        f"create or replace view raw.payout_allocations as {ALLOCATIONS[dialect]}",
        *statements.reshape("conversions"),
        *statements.republish("conversions", ["source_id", "conversion_id"]),
        *statements.make_lease(text_type),
        statements.take_lease(NOW[dialect]),
        statements.renew_lease(NOW[dialect]),
        statements.RELEASE_LEASE,
        statements.OTHER_HOLDERS,
        REOPEN,
        rows_with("conversion_events", 2),
        rows_with("quarantined_events", 1),
        *(sql for sql, _ in statements.removal("deliveries", ["delivery_id"], [{"delivery_id": "one"}])),
        *(sql for sql, _ in statements.addition("loads", ["batch_id", "received"], [{"batch_id": "b", "received": 1}])),
    ]


@pytest.mark.parametrize("dialect", CLOUDS)
def test_our_own_sql_is_read_by_the_engine(dialect: str) -> None:
    """What the loader says besides dlt, and the commands, has no word that the engine does not know."""
    asked = our_own_sql(dialect)
    assert len(asked) > 50
    wrong = [f"{each} ({dialect}): {sql}" for sql in asked for each in faults(re.sub(r"\$\w+", "'x'", sql), dialect)]
    assert not wrong, "\n" + "\n".join(wrong)
