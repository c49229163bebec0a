"""
The optional inputs into `raw`: what has changed is read, checked and loaded, and the rest left alone.

A file is recorded as read only after its rows have committed. Killed anywhere, the next call completes the dlt package
that was under way and reads once more what was not recorded; its rows take their own place.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dlt
import pyarrow as pa

from ingest.tombstones import Tombstones
from models.inputs import INPUTS
from pipelines.dlt_settings import apply_dlt_settings
from pipelines.input_changes import Change, FileReport, Input, changes_of
from pipelines.input_tables import ERRORS, HeldInputs, input_tables, rows_table
from pipelines.raw_tables import DATASET
from pipelines.warehouse import Warehouse, WarehouseSession

LOAD_BYTES = 64 * 1024 * 1024
"""Of rows in one load at most, so that memory does not grow with the files (one larger file goes alone)."""


@dataclass(frozen=True, slots=True)
class InputReport:
    """
    What one call did.

    Attributes:
        files: Those that had changed, and what could not be found.
    """

    files: tuple[FileReport, ...] = ()

    @property
    def is_right(self) -> bool:
        """Whether every row that was read could be loaded."""
        return not any(file.wrong_rows or file.refusal for file in self.files)


@dataclass(frozen=True, slots=True)
class InputLoader:
    """
    Loads the configured inputs into one warehouse.

    Attributes:
        inputs: At most one for each table.
        warehouse: Where the rows go.
        state: Working folder: dlt keeps a package under way there.
        tombstones: Gives the list of those whose id does not come in, as it is now.
        now: Aware UTC clock.
    """

    inputs: Sequence[Input]
    warehouse: Warehouse
    state: Path
    tombstones: Callable[[], Tombstones | None] = lambda: None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def load(self) -> InputReport:
        """
        Load every file and table that has changed since it was read.

        Raises:
            WarehouseLockedError: Another program kept the warehouse open.
        """
        if not self.inputs:
            return InputReport()
        with self.warehouse.session() as session:
            pipeline = self._pipeline(session)
            # A run with a package pending would load that and drop its own data without a word.
            if pipeline.has_pending_data:
                session.forget_build()
                pipeline.normalize()
                pipeline.load()
            held = HeldInputs(session)
            names = [each.name for each in self.inputs]
            reports = self._load_changes(_Load(pipeline, held, names, self.tombstones()))
            return InputReport(tuple(reports))

    def _load_changes(self, load: "_Load") -> list[FileReport]:
        load_seq = load.held.next_load_seq()
        loaded_at = self.now().astimezone(UTC).replace(tzinfo=None)
        reports: list[FileReport] = []
        portion: list[Change] = []
        for each in self.inputs:
            for change in changes_of(each, load.held.records(each.name), load_seq, loaded_at):
                reports.append(change.report)
                if portion and sum(waiting.size for waiting in portion) + change.size > LOAD_BYTES:
                    load.commit(portion)
                    portion = []
                portion.append(change)
        load.commit(portion)
        return reports

    def _pipeline(self, session: WarehouseSession) -> dlt.Pipeline:
        apply_dlt_settings()
        return dlt.pipeline(
            "hookmart_inputs",
            pipelines_dir=str(self.state / "dlt"),
            destination=session.input_destination(),
            dataset_name=DATASET,
        )


_OF_A_CUSTOMER = ["source_id", "customer_id", "row_key", "part"]


@dataclass(frozen=True, slots=True)
class _Load:
    """One call's way into the warehouse, for the inputs of these names."""

    pipeline: dlt.Pipeline
    held: HeldInputs
    names: Sequence[str]
    tombstones: Tombstones | None = None

    def commit(self, portion: Sequence[Change]) -> None:
        """Load *portion*, then take away what it no longer has, then record it."""
        tables = self._tables(portion)
        missing = self.held.missing_tables(self.names)
        for name, schema in missing.items():
            tables.setdefault(name, [schema.empty_table()])
        # Before a row changes, so that whatever build comes next sees it, even if this load is killed on the way.
        self._announce(portion)
        if tables:
            self.pipeline.run(input_tables(tables), loader_file_format=self.held.session.file_format)
        if missing:
            self.held.make_views(self.names)
        for change in portion:
            self._take_away(change)
        self.held.record([change.record for change in portion if change.record is not None])

    def _announce(self, portion: Sequence[Change]) -> None:
        changed = {change.report.input for change in portion if change.record is not None}
        if any(INPUTS[name].dates_money for name in changed):
            self.held.session.forget_build()
        for name in sorted(changed):
            self.held.session.input_changes(name)

    def _tables(self, portion: Sequence[Change]) -> dict[str, list[pa.Table]]:
        tables: dict[str, list[pa.Table]] = {}
        for change in portion:
            if change.rows is not None and change.rows.num_rows:
                tables.setdefault(rows_table(change.report.input), []).append(self._without_erased(change.rows))
            if change.errors is not None and change.errors.num_rows:
                tables.setdefault(ERRORS, []).append(change.errors)
        return tables

    def _without_erased(self, rows: pa.Table) -> pa.Table:
        if not self.tombstones or "customer_id" not in rows.schema.names:
            return rows
        cleaned = [self._cleaned(row, self.tombstones) for row in rows.select(_OF_A_CUSTOMER).to_pylist()]
        for name in _OF_A_CUSTOMER:
            at = rows.schema.get_field_index(name)
            rows = rows.set_column(at, rows.schema.field(name), [[row[name] for row in cleaned]])
        return rows

    @staticmethod
    def _cleaned(row: dict[str, Any], tombstones: Tombstones) -> dict[str, Any]:
        pseudonym = tombstones.replacement(row["source_id"], row["customer_id"])
        if pseudonym is None:
            return row
        keyed = tombstones.keyed(row["row_key"])
        part = keyed if row["part"] == row["row_key"] else row["part"]
        return {**row, "customer_id": pseudonym, "row_key": keyed, "part": part}

    def _take_away(self, change: Change) -> None:
        record = change.record
        if record is None:
            return
        # Also where it has rows: it may have been read another way before, in other parts.
        if change.rows is not None and change.is_whole:
            self.held.drop_rows(record.input, record.file, record.load_seq)
        if change.is_whole:
            self.held.drop_errors(record.input, record.file, record.load_seq)
        else:
            self.held.drop_refusals(record.input, record.file, record.load_seq)
        if change.moved_from is not None:
            self.held.forget(record.input, change.moved_from, record.load_seq)
