"""`[inputs.*]` of the configuration: files and tables that are loaded besides the events."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ingest.setting_types import LocalPath, SecretReference, Section
from models.inputs import INPUTS, InputTable

Header = Annotated[str, Field(min_length=1)]


class InputSettings(Section):
    """
    Where one input comes from, and what it looks like there.

    Attributes:
        path: A file, or a glob of several.
        sql: Reference to the URL of a database, which may hold a password.
        table: In that database; `schema.table` or a view as well.
        cursor: Column of that table that only grows, so that only what is new is read.
        columns: Their name of a column, under ours.
        constants: What holds for every row whose own cell is blank, or that has no such column.
        without: Columns of ours that it does not have.
        decimal: What parts decimals, in text.
        thousands: What parts groups of three digits, in text.
        date_format: Of days in text, as `strptime` takes it; ISO 8601 by default.
        sheet: Of XLSX; the first by default.
    """

    path: LocalPath | None = None
    sql: SecretReference | None = None
    table: str | None = Field(default=None, min_length=1)
    cursor: Header | None = None
    columns: dict[str, Header] = Field(default_factory=dict)
    constants: dict[str, Header] = Field(default_factory=dict)
    without: tuple[str, ...] = ()
    decimal: Literal[".", ","] = "."
    thousands: Literal["", ".", ",", " ", "'", "’"] = ""  # noqa: RUF001 - Swiss exports part thousands with either
    date_format: str | None = Field(default=None, min_length=2)
    sheet: str | None = None
    encoding: str = "utf-8"
    delimiter: str = Field(default=",", min_length=1, max_length=1)

    @model_validator(mode="after")
    def _comes_from_one_place(self) -> Self:
        if (self.path is None) == (self.sql is None):
            raise ValueError("it needs either `path`, a file or a glob, or `sql`, a reference to a database; give one")
        if self.sql is not None and self.table is None:
            raise ValueError("`sql` says which database, but not which `table`; add it")
        if self.sql is None and (self.table is not None or self.cursor is not None):
            raise ValueError("`table` and `cursor` are of a database; leave them out, or give `sql` instead of `path`")
        if self.decimal == self.thousands:
            raise ValueError("`decimal` and `thousands` are the same; give each its own")
        try:
            "".encode(self.encoding)
        except LookupError:
            raise ValueError(f"{self.encoding!r} is not a text encoding; give one such as utf-8 or cp1252") from None
        return self


class InputsSettings(Section):
    """The inputs; one that is not there is not loaded."""

    player_activity: InputSettings | None = None
    marketing_spend: InputSettings | None = None
    fx_rates: InputSettings | None = None
    accounting_periods: InputSettings | None = None

    @property
    def configured(self) -> dict[str, InputSettings]:
        """Those that are there, by name."""
        found = {name: getattr(self, name) for name in INPUTS}
        return {name: settings for name, settings in found.items() if settings is not None}

    @model_validator(mode="after")
    def _name_columns_that_there_are(self) -> Self:
        for name, settings in self.configured.items():
            _check_columns(INPUTS[name], settings)
        return self


def _check_columns(table: InputTable, settings: InputSettings) -> None:
    names = [column.name for column in table.columns]
    for setting, columns in (
        ("columns", settings.columns),
        ("constants", settings.constants),
        ("without", settings.without),
    ):
        unknown = [column for column in columns if column not in names]
        if unknown:
            raise ValueError(
                f"`{setting}` of {table.name} has {unknown[0]!r}, which is none of its columns: {', '.join(names)}"
            )
    for column in settings.without:
        if column in table.required:
            raise ValueError(f"`without` of {table.name} has {column!r}, which it cannot do without; take it out")
        if column in settings.columns or column in settings.constants:
            raise ValueError(f"{column!r} of {table.name} is in `without` and given as well; take it out of one")
    if len(set(settings.columns.values())) < len(settings.columns):
        raise ValueError(f"`columns` of {table.name} takes two columns from the same one; correct it")
