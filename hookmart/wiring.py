"""From the configuration to the parts that do the work."""

# ruff: noqa: PLC0415  # what a server's warehouse needs is an extra, and only the one that is configured

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hookmart.terminal import OperationError, err
from ingest.errors import SettingsError
from ingest.secrets import resolve_warehouse_key, resolve_warehouse_url
from ingest.settings import Settings
from ingest.staging import Stage
from mappings.mapping import Mapping
from pipelines.build import Builder
from pipelines.duckdb_warehouse import DuckDBWarehouse
from pipelines.load import Loader
from pipelines.load_memory import LoadMemory
from pipelines.mapped_lines import MappedLines
from pipelines.warehouse import Warehouse


def loader_of(settings: Settings) -> Loader:
    """Return the loader of the configured stage and warehouse."""
    mappings = mappings_of(settings)
    return Loader(
        stage=Stage(settings.stage.directory),
        archive=settings.stage.archive,
        archive_days=settings.stage.archive_days,
        warehouse=warehouse_of(settings),
        state=settings.warehouse.state,
        notice=_notice,
        memory=LoadMemory(settings.warehouse.load_memory_bytes),
        amendments=(MappedLines(mappings),) if mappings else (),
    )


def mappings_of(settings: Settings) -> dict[str, Mapping]:
    """Return the mappings of the sources that send a platform's own payloads."""
    mappings = {name: source.platform for name, source in settings.sources.items()}
    return {name: mapping for name, mapping in mappings.items() if mapping is not None}


def builder_of(settings: Settings, on_node: Callable[[str], None] = lambda _name: None) -> Builder:
    """Return the builder of the configured warehouse; *on_node* is told each model and test that is done."""
    return Builder(
        warehouse=warehouse_of(settings),
        published=settings.warehouse.publish,
        state=settings.warehouse.state / "dbt",
        reporting_timezone=settings.program.reporting_timezone,
        reporting_currency=settings.program.reporting_currency,
        on_node=on_node,
    )


def warehouse_of(settings: Settings) -> Warehouse:
    """
    Return the configured warehouse; nothing is connected yet.

    Raises:
        SettingsError: The URL of its server is missing.
        OperationError: What it needs is not installed.
    """
    destination = settings.warehouse.destination
    if destination == "duckdb":
        return DuckDBWarehouse(settings.warehouse.database, notice=_notice)
    try:
        return _warehouse_on_a_server(settings, resolve_warehouse_url(settings, os.environ))
    except ModuleNotFoundError as error:
        raise OperationError(
            f"The warehouse {destination} needs {error.name}, which is not installed; install hookmart[{destination}]."
        ) from error
    except ValueError as error:
        reference = settings.warehouse.credentials
        raise SettingsError(f"What `credentials` in [warehouse] names, {reference}, {error}.") from None


def impatient(warehouse: Warehouse, seconds: float) -> Warehouse:
    """Return *warehouse* for one who only looks: waits *seconds* at most while it cannot be had, and says nothing."""
    fields: Any = warehouse
    looked_at: Warehouse = replace(fields, patience=seconds, notice=_nothing)
    return looked_at


def _nothing(_message: str) -> None:
    """No notice."""


def _warehouse_on_a_server(settings: Settings, url: str) -> Warehouse:
    state = settings.warehouse.state
    if settings.warehouse.destination == "ducklake":
        from pipelines.ducklake_warehouse import DuckLakeWarehouse

        return DuckLakeWarehouse(url, settings.warehouse.storage, state, notice=_notice)
    if settings.warehouse.destination == "postgres":
        from pipelines.postgres_warehouse import PostgresWarehouse

        return PostgresWarehouse(url, state, notice=_notice)
    from pipelines import cloud_engines
    from pipelines.cloud_warehouse import CloudWarehouse

    engine: cloud_engines.Engine
    if settings.warehouse.destination == "snowflake":
        engine = cloud_engines.snowflake_at(url, resolve_warehouse_key(settings, os.environ))
    elif settings.warehouse.destination == "bigquery":
        engine = cloud_engines.bigquery_with(url, settings.warehouse.project, settings.warehouse.location)
    else:
        engine = cloud_engines.redshift_at(url)
    return CloudWarehouse(engine, state, notice=_notice)


def _notice(message: str) -> None:
    err.print(message, markup=False)
