"""
The inputs' tables in the warehouse.

`raw.<input>_rows` holds every good row of every file, and `raw.<input>`, a view of it, the latest of each key: when a
file no longer has a row, that of an older file shows again. `raw.input_files` is the record of what was read, and
`raw.input_errors` has the wrong rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import dlt
import pyarrow as pa
from dlt.extract import DltResource

from models.inputs import INPUTS, InputTable
from pipelines.input_rows import row_schema
from pipelines.raw_tables import DATASET
from pipelines.warehouse import WarehouseSession

ERRORS = "input_errors"
FILES = "input_files"

_ORIGIN = pa.schema(
    [
        pa.field("file", pa.string()),
        pa.field("part", pa.string(), nullable=False),
        pa.field("modified_at", pa.timestamp("us")),
        pa.field("loaded_at", pa.timestamp("us")),
        pa.field("load_seq", pa.int64()),
    ]
)

ERROR_SCHEMA = pa.schema(
    [
        pa.field("input", pa.string()),
        pa.field("file", pa.string()),
        pa.field("line", pa.int64()),
        pa.field("column_name", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("part", pa.string(), nullable=False),
        pa.field("loaded_at", pa.timestamp("us")),
        pa.field("load_seq", pa.int64()),
    ]
)

_FILES_COLUMNS = {
    "input": "varchar",
    "file": "varchar",
    "modified_at": "timestamp",
    "size_bytes": "bigint",
    "content_sha256": "varchar",
    "fingerprint": "varchar",
    "cursor_value": "varchar",
    "row_count": "bigint",
    "wrong_row_count": "bigint",
    "repeated_row_count": "bigint",
    "refusal": "varchar",
    "loaded_at": "timestamp",
    "load_seq": "bigint",
}
_FILES_AT_A_TIME = 50


@dataclass(frozen=True, slots=True)
class FileRecord:
    """
    What was read of one file, or of one table of another database, the last time it had changed.

    Attributes:
        input: Name of the input.
        file: Name below the input's directory; of the table.
        modified_at: None of a table.
        size_bytes: None of a table.
        content_sha256: Of the file; of the rows of a table.
        fingerprint: Of how it was read.
        cursor_value: Where the reading of a table ended.
        row_count: Good rows.
        refusal: Why none of it was loaded; None where it was.
    """

    input: str
    file: str
    modified_at: datetime | None
    size_bytes: int | None
    content_sha256: str
    fingerprint: str
    cursor_value: str | None
    row_count: int
    wrong_row_count: int
    repeated_row_count: int
    refusal: str | None
    loaded_at: datetime
    load_seq: int


def rows_table(name: str) -> str:
    """Return the name of the table with all rows of the input *name*."""
    return f"{name}_rows"


def table_schema(table: InputTable) -> pa.Schema:
    """Return what `raw.<input>_rows` looks like."""
    return pa.schema([*row_schema(table), *_ORIGIN])


@dlt.source(name="hookmart_inputs")
def input_tables(tables: Mapping[str, Sequence[pa.Table]]) -> Iterator[DltResource]:
    """Yield one resource per table; the rows of a part take the place of those that it had."""
    for name, parts in tables.items():
        yield dlt.resource(
            list(parts),
            name=name,
            # Not by the key of the rows: what a file no longer has must go, and two files may have the same key.
            merge_key="part",
            write_disposition={"disposition": "merge", "strategy": "delete-insert"},
            columns={
                each.name: {"data_type": "timestamp", "timezone": False}
                for each in parts[0].schema
                if pa.types.is_timestamp(each.type)
            },
        )


@dataclass(frozen=True, slots=True)
class HeldInputs:
    """What the warehouse holds of the inputs, through *session*."""

    session: WarehouseSession

    def missing_tables(self, inputs: Sequence[str]) -> dict[str, pa.Schema]:
        """Return the tables of *inputs* that are not there yet, by name; one without its view among them."""
        present = self.session.table_names(DATASET)
        wanted = {rows_table(name): table_schema(INPUTS[name]) for name in inputs}
        lacking = {rows_table(name) for name in inputs if name not in present} | ({ERRORS} - present)
        return {name: schema for name, schema in {**wanted, ERRORS: ERROR_SCHEMA}.items() if name in lacking}

    def make_views(self, inputs: Sequence[str]) -> None:
        """Make what dlt does not: the record, and the views over the tables."""
        present = self.session.table_names(DATASET)
        if FILES not in present:
            columns = ", ".join(
                f"{name} {self.session.long_text_type if kind == 'varchar' else kind}"
                for name, kind in _FILES_COLUMNS.items()
            )
            self.session.execute(f"create table {DATASET}.{FILES} ({columns})")
        for name in inputs:
            if name not in present and rows_table(name) in present:
                rows = latest_rows(INPUTS[name], self.session.byte_order)
                self.session.execute(f"create view {DATASET}.{name} as {rows}")

    def records(self, name: str) -> dict[str, FileRecord]:
        """Return what was read of the input *name*, by file."""
        if FILES not in self.session.table_names(DATASET):
            return {}
        rows = self.session.execute(
            f"select {', '.join(_FILES_COLUMNS)} from {DATASET}.{FILES} where input = $input", {"input": name}
        )
        return {record.file: record for record in (FileRecord(*row) for row in rows)}

    def next_load_seq(self) -> int:
        """Return one more than whatever was given out, that of a load which was killed included."""
        present = self.session.table_names(DATASET)
        tables = [name for name in (FILES, ERRORS, *map(rows_table, INPUTS)) if name in present]
        seqs = [self.session.execute(f"select max(load_seq) from {DATASET}.{name}")[0][0] or 0 for name in tables]
        return max(map(int, seqs), default=0) + 1

    def drop_rows(self, name: str, file: str, before: int) -> None:
        """Drop the rows of a file that are older than the load *before*."""
        self.session.execute(
            f"delete from {DATASET}.{rows_table(name)} where file = $file and load_seq < $before",
            {"file": file, "before": before},
        )

    def drop_errors(self, name: str, file: str, before: int) -> None:
        """Drop the errors of a file that are older than the load *before*."""
        self.session.execute(
            f"delete from {DATASET}.{ERRORS} where input = $input and file = $file and load_seq < $before",
            {"input": name, "file": file, "before": before},
        )

    def drop_refusals(self, name: str, file: str, before: int) -> None:
        """Drop what was said of a whole file before the load *before*, and nothing that was said of its rows."""
        self.session.execute(
            f"delete from {DATASET}.{ERRORS} where input = $input and file = $file and load_seq < $before "
            "and line is null and column_name is null",
            {"input": name, "file": file, "before": before},
        )

    def forget(self, name: str, file: str, before: int) -> None:
        """Drop all that is held of a file that goes by another name now."""
        self.drop_rows(name, file, before)
        self.drop_errors(name, file, before)
        self.session.execute(
            f"delete from {DATASET}.{FILES} where input = $input and file = $file", {"input": name, "file": file}
        )

    def record(self, records: Sequence[FileRecord]) -> None:
        """Record what was read. Killed in between, it is read once more."""
        for start in range(0, len(records), _FILES_AT_A_TIME):
            some = records[start : start + _FILES_AT_A_TIME]
            values = {
                f"{name}_{at}": getattr(record, name) for at, record in enumerate(some) for name in _FILES_COLUMNS
            }
            same = " or ".join(f"(input = $input_{at} and file = $file_{at})" for at in range(len(some)))
            self.session.execute(
                f"delete from {DATASET}.{FILES} where {same}",
                {name: value for name, value in values.items() if name.startswith(("input_", "file_"))},
            )
            places = ", ".join(f"({', '.join(f'${name}_{at}' for name in _FILES_COLUMNS)})" for at in range(len(some)))
            self.session.execute(f"insert into {DATASET}.{FILES} ({', '.join(_FILES_COLUMNS)}) values {places}", values)


def latest_rows(table: InputTable, byte_order: str) -> str:
    """Return the SQL of the latest row of each key: by time of the file's modification, its name, and line."""
    names = ", ".join(
        [*(column.name for column in table.columns), "file", "line", "modified_at", "loaded_at", "load_seq"]
    )
    return (
        f"select {names} from (select *, row_number() over (partition by {', '.join(table.key)} "
        # In the order of bytes, whatever language the server speaks.
        f"order by modified_at desc, file{byte_order} desc, line desc) as place from {DATASET}.{rows_table(table.name)}"
        ") as ranked where place = 1"
    )


def with_origin(rows: pa.Table, origin: Mapping[str, Any]) -> pa.Table:
    """Return *rows* with one value for each of *origin* in every row."""
    for name, value in origin.items():
        kind = _ORIGIN.field(name).type
        column = value if isinstance(value, pa.ChunkedArray) else pa.repeat(pa.scalar(value, kind), rows.num_rows)
        rows = rows.append_column(_ORIGIN.field(name), column)
    return rows
