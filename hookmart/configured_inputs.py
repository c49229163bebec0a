"""The optional inputs as they are configured."""

import os

from hookmart.wiring import warehouse_of
from ingest.errors import SettingsError
from ingest.input_settings import InputSettings
from ingest.secrets import resolve_input_url
from ingest.settings import Settings
from ingest.tombstones import Tombstones
from models.inputs import INPUTS
from pipelines.input_changes import Input
from pipelines.input_rows import InputShape
from pipelines.input_sql import SqlTable
from pipelines.input_values import CellStyle, WrongCellError, reader_of
from pipelines.inputs import InputLoader
from pipelines.report_file import FileLayout
from pipelines.report_values import NumberStyle


def input_loader_of(settings: Settings) -> InputLoader:
    """
    Return the loader of the configured inputs.

    Raises:
        SettingsError: The URL of a database is missing, or a constant is not what its column holds.
    """
    return InputLoader(
        inputs=[_input(settings, name, each) for name, each in settings.inputs.configured.items()],
        warehouse=warehouse_of(settings),
        state=settings.warehouse.state,
        tombstones=lambda: Tombstones(settings.stage.archive),
    )


def _input(settings: Settings, name: str, configured: InputSettings) -> Input:
    shape = InputShape(
        table=INPUTS[name],
        columns=configured.columns,
        constants=configured.constants,
        without=configured.without,
        layout=FileLayout(encoding=configured.encoding, delimiter=configured.delimiter, sheet=configured.sheet),
        style=CellStyle(NumberStyle(configured.decimal, configured.thousands), configured.date_format),
    )
    for column in shape.table.columns:
        if column.name in shape.constants:
            try:
                reader_of(column.kind, shape.style)(shape.constants[column.name])
            except WrongCellError as error:
                raise SettingsError(
                    f"In {settings.path}, `inputs.{name}.constants.{column.name}` {error}; correct it."
                ) from None
    if configured.path is not None:
        return Input(shape, configured.path)
    url = resolve_input_url(settings, name, os.environ)
    return Input(shape, SqlTable(url, str(configured.table), configured.cursor))
