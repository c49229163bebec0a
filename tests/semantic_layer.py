"""MetricFlow over a warehouse of ours: metrics of `dbt_project/semantic`, as rows."""

import os
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner
from metricflow.data_table.mf_table import MetricFlowDataTable
from metricflow.engine.metricflow_engine import MetricFlowEngine, MetricFlowQueryRequest
from metricflow.protocols.sql_client import SqlEngine
from metricflow.sql.render.duckdb_renderer import DuckDbSqlPlanRenderer
from metricflow_semantics.model.dbt_manifest_parser import parse_manifest_from_dbt_generated_manifest
from metricflow_semantics.model.semantic_manifest_lookup import SemanticManifestLookup
from metricflow_semantics.sql.sql_bind_parameters import SqlBindParameterSet

from pipelines.build import PROJECT

SWITCH = "HOOKMART_SEMANTICS"


class _Client:
    """The least of a client that MetricFlow takes: we run its SQL ourselves."""

    sql_engine_type = SqlEngine.DUCKDB
    sql_plan_renderer = DuckDbSqlPlanRenderer()

    def query(self, stmt: str, sql_bind_parameter_set: SqlBindParameterSet | None = None) -> MetricFlowDataTable:
        raise NotImplementedError

    def execute(self, stmt: str, sql_bind_parameter_set: SqlBindParameterSet | None = None) -> None:
        raise NotImplementedError

    def dry_run(self, stmt: str, sql_bind_parameter_set: SqlBindParameterSet | None = None) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def render_bind_parameter_key(self, bind_parameter_key: str) -> str:
        return bind_parameter_key


class SemanticLayer:
    """The metrics of the project, over the DuckDB file *database*."""

    def __init__(self, database: Path, state: Path) -> None:
        self.database = database
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(SWITCH, "semantic")
            patch.setenv("HOOKMART_DUCKDB", os.fspath(database))
            patch.setenv("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
            options = [
                *("--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT), "--quiet", "--log-level", "none"),
                *("--target-path", str(state), "--log-path", str(state)),
            ]
            parsed: Any = dbtRunner().invoke(["parse", *options])
            compiled: Any = dbtRunner().invoke(["compile", "--select", "time_spine_days", *options])
            DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]
        assert parsed.success, parsed.exception
        assert compiled.success, compiled.exception
        self.manifest = parsed.result
        self.time_spine: str = compiled.result.results[0].node.compiled_code
        text = (state / "semantic_manifest.json").read_text(encoding="utf-8")
        lookup = SemanticManifestLookup(parse_manifest_from_dbt_generated_manifest(text))
        self._engine = MetricFlowEngine(semantic_manifest_lookup=lookup, sql_client=_Client())

    def ask(
        self, *metrics: str, by: tuple[str, ...] = (), where: str | None = None
    ) -> dict[tuple[Any, ...], tuple[Any, ...]]:
        """Values of *metrics*, in their order, by the values of what they are grouped by."""
        request = MetricFlowQueryRequest.create(
            metric_names=list(metrics), group_by_names=list(by), where_constraints=[where] if where else None
        )
        sql = self._engine.explain(request).sql_statement.sql
        with duckdb.connect(self.database, read_only=True) as connection:
            found = connection.sql(sql)
            rows = [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]
        return {tuple(_day(row[name]) for name in by): tuple(row[name] for name in metrics) for row in rows}


def _day(value: Any) -> Any:
    return date(value.year, value.month, value.day) if isinstance(value, datetime) else value
