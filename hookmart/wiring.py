"""From the configuration to the parts that do the work."""

from collections.abc import Callable

from hookmart.terminal import err
from ingest.settings import Settings
from ingest.staging import Stage
from pipelines.build import Builder
from pipelines.load import Loader
from pipelines.warehouse import Warehouse


def loader_of(settings: Settings) -> Loader:
    """Return the loader of the configured stage and warehouse."""
    return Loader(
        stage=Stage(settings.stage.directory),
        archive=settings.stage.archive,
        warehouse=_warehouse_of(settings),
        state=settings.warehouse.state,
        notice=_notice,
    )


def builder_of(settings: Settings, on_node: Callable[[str], None] = lambda _name: None) -> Builder:
    """Return the builder of the configured warehouse; *on_node* is told each model and test that is done."""
    return Builder(
        warehouse=_warehouse_of(settings),
        published=settings.warehouse.publish,
        state=settings.warehouse.state / "dbt",
        reporting_timezone=settings.program.reporting_timezone,
        reporting_currency=settings.program.reporting_currency,
        on_node=on_node,
    )


def _warehouse_of(settings: Settings) -> Warehouse:
    return Warehouse(settings.warehouse.database, notice=_notice)


def _notice(message: str) -> None:
    err.print(message, markup=False)
