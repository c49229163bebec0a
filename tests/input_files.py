"""Files of optional inputs, in every format, and a warehouse that they are loaded into."""

import csv
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from openpyxl import Workbook

from models.inputs import INPUTS
from pipelines.duckdb_warehouse import DuckDBWarehouse
from pipelines.input_changes import Input
from pipelines.input_rows import InputShape
from pipelines.input_sql import SqlTable
from pipelines.inputs import InputLoader, InputReport

FORMATS = ("csv", "parquet", "xlsx")
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC).timestamp()

ROWS: dict[str, list[dict[str, Any]]] = {
    "player_activity": [
        {
            "source_id": "acme", "customer_id": "c-1", "activity_date": date(2026, 7, 1), "currency": "eur",
            "ggr": 120.5, "bonus_cost": 10, "chargebacks": 0, "payment_fees": 1.25, "gaming_tax": 24.1,
            "other_deductions": None, "deposits": 200, "withdrawals": 50.01, "lots": None, "is_active": True,
        },
        {
            "source_id": "acme", "customer_id": "c-2", "activity_date": date(2026, 7, 1), "currency": "USDT",
            "ggr": -0.00000001, "bonus_cost": None, "chargebacks": None, "payment_fees": None, "gaming_tax": None,
            "other_deductions": None, "deposits": None, "withdrawals": None, "lots": 0.03, "is_active": False,
        },
    ],
    "marketing_spend": [
        {
            "spend_date": date(2026, 7, 1), "source_id": "acme", "partner_id": "p-1", "campaign_id": None,
            "amount": 99.9, "currency": "EUR",
        },
        {
            "spend_date": date(2026, 7, 1), "source_id": "acme", "partner_id": None, "campaign_id": "k-1",
            "amount": 0.1, "currency": "EUR",
        },
    ],
    "fx_rates": [
        {"rate_date": date(2026, 7, 1), "base_currency": "EUR", "quote_currency": "usd", "rate": 1.0871},
        {"rate_date": date(2026, 7, 1), "base_currency": "JPY", "quote_currency": "EUR", "rate": 0.00611},
    ],
    "accounting_periods": [
        {"period_month": date(2026, 6, 1), "closed_at": datetime(2026, 7, 4, 9, 30)},
        {"period_month": date(2026, 7, 1), "closed_at": None},
    ],
}  # fmt: skip
"""Two rows of each input, as a spreadsheet would hold them."""


def write_file(path: Path, rows: Sequence[Mapping[str, Any]], modified_at: float = NOON) -> Path:
    """Write *rows*, in the format that the name says, as modified at a moment of Unix time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    names = list(rows[0])
    match path.suffix:
        case ".csv":
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(names)
                writer.writerows([_text(row[name]) for name in names] for row in rows)
        case ".parquet":
            pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), path)
        case _:
            book = Workbook()
            sheet = book.worksheets[0]
            for row in [names, *([row[name] for name in names] for row in rows)]:
                sheet.append(row)
            book.save(path)
    os.utime(path, (modified_at, modified_at))
    return path


def write_text(path: Path, text: str, modified_at: float = NOON) -> Path:
    """Write a file as it stands here."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    os.utime(path, (modified_at, modified_at))
    return path


def shape(name: str, **settings: Any) -> InputShape:
    """An input whose columns are called as ours are, unless said otherwise."""
    return InputShape(INPUTS[name], **settings)


class InputLine:
    """One DuckDB warehouse under *root*."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.warehouse = DuckDBWarehouse(root / "warehouse.duckdb")

    def loader(self, *inputs: tuple[InputShape, Path | SqlTable]) -> InputLoader:
        return InputLoader([Input(*each) for each in inputs], self.warehouse, self.root / "state")

    def load(self, shape: InputShape, origin: Path | SqlTable) -> InputReport:
        return self.loader((shape, origin)).load()

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(self.warehouse.database) as connection:
            return connection.execute(sql).fetchall()

    def table(self, name: str) -> list[dict[str, Any]]:
        """The rows of an input as its readers see them, by key, without where they came from."""
        table = INPUTS[name]
        names = [column.name for column in table.columns]
        rows = self.query(f"select {', '.join(names)} from raw.{name} order by {', '.join(table.key)}")
        return [dict(zip(names, row, strict=True)) for row in rows]

    def errors(self) -> list[tuple[Any, ...]]:
        return self.query("select file, line, column_name, reason from raw.input_errors order by all")


def as_loaded(name: str, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What `raw` is to hold of *rows*."""
    table = INPUTS[name]
    loaded = [
        {column.name: _loaded(column.kind.value, row.get(column.name)) for column in table.columns} for row in rows
    ]
    return sorted(loaded, key=lambda row: [(row[key] is None, str(row[key])) for key in table.key])


def _loaded(kind: str, value: Any) -> Any:
    if value is None:
        return None
    if kind in {"money", "quantity", "rate"}:
        return Decimal(str(value))
    return value.upper() if kind == "currency" else value


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{Decimal(repr(value)):f}"
    return "" if value is None else str(value)
