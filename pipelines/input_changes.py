"""What has changed among the files and tables of the inputs, read and ready to be loaded."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from pipelines.input_files import InputFile, content_hash, list_files, read_file
from pipelines.input_rows import InputRefusedError, InputShape, ReadRows, WrongRow
from pipelines.input_sql import KnownRows, SqlTable, read_table
from pipelines.input_tables import ERROR_SCHEMA, FileRecord, table_schema, with_origin


@dataclass(frozen=True, slots=True)
class Input:
    """
    One configured input.

    Attributes:
        shape: Its table, and what its rows look like.
        origin: A file, a glob of several, or a table of another database.
    """

    shape: InputShape
    origin: Path | SqlTable

    @property
    def name(self) -> str:
        """Its name in the configuration, and in `raw`."""
        return self.shape.table.name


@dataclass(frozen=True, slots=True)
class FileReport:
    """
    What was found in a file, or in a table of another database.

    Attributes:
        input: Name of the input.
        file: Name of the file below the input's directory, or of the table; the pattern where no file fits it.
        rows: Good ones.
        wrong: The first of the wrong ones.
        wrong_rows: All of them.
        repeated: Good rows whose key stands again further down, where it takes their place.
        refusal: Why nothing of it was loaded; None where it was.
    """

    input: str
    file: str
    rows: int = 0
    wrong: tuple[WrongRow, ...] = ()
    wrong_rows: int = 0
    repeated: int = 0
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """
    A file on its way into the warehouse.

    Attributes:
        record: None where there is nothing to load or to record, only to tell.
        rows: As they are loaded; None where all of it was refused, and what was loaded before stays.
        errors: As they are loaded.
        is_whole: Whether it was read from its beginning, so that older rows of it go.
        moved_from: The name under which the same file was read before.
    """

    report: FileReport
    record: FileRecord | None = None
    rows: pa.Table | None = None
    errors: pa.Table | None = None
    is_whole: bool = True
    moved_from: str | None = None

    @property
    def size(self) -> int:
        """In memory, in bytes."""
        return 0 if self.rows is None else int(self.rows.nbytes)


def changes_of(each: Input, records: Mapping[str, FileRecord], load_seq: int, loaded_at: datetime) -> Iterator[Change]:
    """
    Yield what of an input is not as *records*, by file, say that it was when it was read, one file in memory at a time.

    Args:
        load_seq: Of the load that is to take it.
        loaded_at: In UTC without a zone.
    """
    made = _Made(each, load_seq, loaded_at)
    if isinstance(each.origin, SqlTable):
        change = made.of_table(each.origin, records.get(each.origin.table))
        if change is not None:
            yield change
        return
    try:
        files = list_files(each.origin)
    except InputRefusedError as error:
        # Not that its rows were to go: a directory may not be mounted.
        yield Change(FileReport(each.name, str(each.origin), refusal=str(error)))
        return
    present = {file.name for file in files}
    gone = {record.content_sha256: name for name, record in records.items() if name not in present}
    for file in files:
        record = records.get(file.name)
        if record is None or not _is_unchanged(file, each.shape, record):
            yield made.of_file(file, gone if record is None else {})


def _is_unchanged(file: InputFile, shape: InputShape, record: FileRecord) -> bool:
    was = (record.modified_at, record.size_bytes, record.fingerprint)
    return was == (file.modified_at, file.size, shape.fingerprint)


@dataclass(frozen=True, slots=True)
class _Made:
    """Makes the changes of one input, all of one load."""

    input: Input
    load_seq: int
    loaded_at: datetime

    def of_file(self, file: InputFile, gone: Mapping[str, str]) -> Change:
        """Return all that is in *file*; *gone* are the files that are no longer there, by their content."""
        content, rows, refusal = "", None, None
        try:
            content = content_hash(file)
            rows = read_file(file, self.input.shape)
        except InputRefusedError as error:
            refusal = str(error)
        record = self._record(file.name, content, rows, refusal, modified_at=file.modified_at, size_bytes=file.size)
        return self._change(
            record, rows, file.modified_at, file.name, is_whole=True, moved_from=gone.get(content) if rows else None
        )

    def of_table(self, source: SqlTable, record: FileRecord | None) -> Change | None:
        """Return what is new in a table; None where nothing is."""
        is_read_alike = record is not None and record.fingerprint == self._fingerprint(source)
        known = (
            KnownRows(record.content_sha256, record.cursor_value)
            if record is not None and is_read_alike and record.content_sha256
            else None
        )
        try:
            reading = read_table(source, self.input.shape, known)
        except InputRefusedError as error:
            refusal = str(error)
            if record is not None and is_read_alike and record.refusal == refusal:
                return Change(FileReport(self.input.name, source.table, refusal=refusal))
            # What was read stays known: a server that is away for an hour is no reason to read all of it anew.
            content, end = ("", None) if known is None else (known.content_hash, known.end)
            refused = self._record(source.table, content, None, refusal, source=source, end=end)
            errors_part = f"{source.table} refused"
            return self._change(refused, None, self.loaded_at, None, is_whole=False, errors_part=errors_part)
        if reading is None:
            if record is None or record.refusal is None:
                return None
            healed = replace(record, refusal=None, loaded_at=self.loaded_at, load_seq=self.load_seq)
            return Change(FileReport(self.input.name, source.table), healed, is_whole=False)
        end = reading.known.end
        found = self._record(source.table, reading.known.content_hash, reading.rows, None, source=source, end=end)
        # With a cursor each row is a part of its own: what comes later takes the place of the same key alone.
        is_whole = known is None or source.cursor is None
        part = source.table if source.cursor is None else None
        errors_part = source.table if known is None else f"{source.table} after {known.end}"
        return self._change(found, reading.rows, self.loaded_at, part, is_whole=is_whole, errors_part=errors_part)

    def _change(
        self,
        record: FileRecord,
        rows: ReadRows | None,
        modified_at: datetime,
        part: str | None,
        *,
        is_whole: bool,
        moved_from: str | None = None,
        errors_part: str | None = None,
    ) -> Change:
        wrong = (WrongRow(None, None, str(record.refusal)),) if rows is None else rows.wrong
        return Change(
            FileReport(
                record.input,
                record.file,
                record.row_count,
                () if rows is None else rows.wrong,
                record.wrong_row_count,
                record.repeated_row_count,
                record.refusal,
            ),
            record,
            None if rows is None else self._rows(rows.rows, record.file, part, modified_at),
            self._errors(wrong, record.file, errors_part or record.file),
            is_whole=is_whole,
            moved_from=moved_from,
        )

    def _rows(self, rows: pa.Table, file: str, part: str | None, modified_at: datetime) -> pa.Table:
        origin = {
            "file": file,
            "part": rows.column("row_key") if part is None else part,
            "modified_at": modified_at,
            "loaded_at": self.loaded_at,
            "load_seq": self.load_seq,
        }
        return with_origin(rows, origin).cast(table_schema(self.input.shape.table))

    def _errors(self, wrong: Sequence[WrongRow], file: str, part: str) -> pa.Table:
        return pa.Table.from_pylist(
            [
                {
                    "input": self.input.name,
                    "file": file,
                    "line": each.line,
                    "column_name": each.column,
                    "reason": each.reason,
                    "part": f"{self.input.name}/{part}",
                    "loaded_at": self.loaded_at,
                    "load_seq": self.load_seq,
                }
                for each in wrong
            ],
            ERROR_SCHEMA,
        )

    def _record(
        self,
        file: str,
        content: str,
        rows: ReadRows | None,
        refusal: str | None,
        *,
        modified_at: datetime | None = None,
        size_bytes: int | None = None,
        source: SqlTable | None = None,
        end: str | None = None,
    ) -> FileRecord:
        return FileRecord(
            input=self.input.name,
            file=file,
            modified_at=modified_at,
            size_bytes=size_bytes,
            content_sha256=content,
            fingerprint=self._fingerprint(source),
            cursor_value=end,
            row_count=0 if rows is None else rows.rows.num_rows,
            wrong_row_count=0 if rows is None else rows.wrong_count,
            repeated_row_count=0 if rows is None else rows.repeated,
            refusal=refusal,
            loaded_at=self.loaded_at,
            load_seq=self.load_seq,
        )

    def _fingerprint(self, source: SqlTable | None) -> str:
        cursor = "" if source is None else f" {source.cursor}"
        return f"{self.input.shape.fingerprint}{cursor}"
