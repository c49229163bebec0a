"""
One customer out of everything that is kept: archive, stage, `raw`, marts, published generations, working files.

What is staged is loaded, so that the customer's further ids are found in what is kept. Then the tombstones are on disk,
so that whatever arrives meanwhile is cleaned as it is loaded. Then what is kept is rewritten, each place durably and by
itself; then the marts are built anew and what held the id before is given back to the disk. A mark beside the archive,
with all ids, stands from the tombstones to the last step: killed anywhere, the same call does all of it again, and
finds less to do.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from ingest.archive import Archive
from ingest.durable_files import make_directory, sync_directory, write_whole
from ingest.erased_json import is_protected, replaced_in
from ingest.staging import UNREADABLE
from ingest.tombstones import Tombstones
from models.columns import EVENT_COLUMNS, Kind
from pipelines.build import Builder
from pipelines.full_disk import full_disk_told
from pipelines.further_ids import TABLES, TEXT_COLUMNS, further_ids, rows_holding
from pipelines.load import Loader
from pipelines.publish import remove_others
from pipelines.quarantine import Quarantine
from pipelines.raw_tables import DATASET, RAW_TABLES
from pipelines.replay import ArchiveReplay
from pipelines.warehouse import WarehouseSession

_MARK = "erasing"
_LONGEST_WAIT = 5.0
"""Seconds to wait, at most, for segments that receivers are writing."""

_ACTIVITY = "player_activity_rows"


@dataclass(frozen=True, slots=True)
class ErasureReport:
    """
    What one call changed.

    Attributes:
        archived_segments: Rewritten.
        unreadable_segments: Of the stage, likewise.
        refused_requests: That held the id.
        rows: Changed, by table of `raw`.
        marts: Whether they were built and published anew, and the storage of the warehouse was rewritten.
    """

    archived_segments: int = 0
    unreadable_segments: int = 0
    refused_requests: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    marts: bool = False

    @property
    def found(self) -> bool:
        """Whether the id stood anywhere."""
        return bool(self.archived_segments or self.unreadable_segments or self.refused_requests or self.rows)


@dataclass(frozen=True, slots=True)
class Erasure:
    """
    Takes customers out of one installation.

    Attributes:
        loader: Its stage, archive, warehouse and working folder.
        builder: Of the same warehouse.
        clean_refused: Cleans the refused requests, and returns how many held one who was erased.
        on_step: Told what is being done.
    """

    loader: Loader
    builder: Builder
    clean_refused: Callable[[Tombstones], int] = lambda _tombstones: 0
    on_step: Callable[[str], None] = lambda _step: None

    def erase(self, customer: str, sources: Sequence[str]) -> ErasureReport:
        """
        Take the customer with the id *customer* out of all that came from *sources*.

        Raises:
            PipelineError: Something was in the way; another call does the rest.
        """
        mark = self.loader.archive / _MARK
        tombstones = Tombstones(self.loader.archive)
        was_begun = mark.exists()
        with full_disk_told("erasure"):
            self.on_step("loading what is staged")
            self.loader.wait_for_open_segments(_LONGEST_WAIT)
            loaded = self.loader.load().segments
            self.on_step("looking for other ids")
            ids = _ids_in(mark) | {(source, customer) for source in sources}
            ids |= further_ids(self.loader, customer, sources)
            make_directory(mark.parent)
            write_whole(mark, [orjson.dumps(sorted(ids))])
            tombstones.add(ids, self.loader.now().astimezone(UTC).isoformat(timespec="seconds"))
            self.on_step("loading what came meanwhile")
            loaded += self.loader.load().segments
            report, batches = self._clean(tombstones, [text for _, text in ids])
            if was_begun:
                # A call that died may have rewritten some, and read none of them again.
                batches = frozenset(segment.batch_id for segment in Archive(self.loader.archive).segments())
            if self.loader.amendments and batches:
                self.on_step("reading again what a mapping made")
                replay = ArchiveReplay(self.loader, Quarantine(self.loader.warehouse, self.loader.stage))
                replay.replay_batches(batches)
            # What was staged may have held the id too, in files that are gone by now but not from the disk's rows.
            if report.found or was_begun or loaded:
                self._renew()
                report = ErasureReport(
                    report.archived_segments,
                    report.unreadable_segments,
                    report.refused_requests,
                    report.rows,
                    marts=True,
                )
            mark.unlink()
            sync_directory(mark.parent)
        return report

    def _clean(self, tombstones: Tombstones, ids: Sequence[str]) -> tuple[ErasureReport, frozenset[str]]:
        """Rewrite what is kept; return what was, and which batches."""
        with self.loader.locked(), self.loader.warehouse.session() as session:
            self.loader.ready(session)
            self.on_step("archive")
            archive = Archive(self.loader.archive)
            batches = {
                segment.batch_id for segment in archive.segments() if archive.rewrite(segment, tombstones.cleaned_line)
            }
            unreadable = sum(
                _rewrite_unreadable(path, tombstones) for path in self.loader.stage.root.glob(f"*{UNREADABLE}")
            )
            refused = self.clean_refused(tombstones)
            self.on_step("warehouse")
            rows = dict(_clean_raw(session, tombstones, ids))
            for folder in ("dlt", "scratch"):
                shutil.rmtree(self.loader.state / folder, ignore_errors=True)
            return ErasureReport(len(batches), unreadable, refused, rows), frozenset(batches)

    def _renew(self) -> None:
        """Build and publish the marts anew, and let nothing of what was before stay on the disk."""
        self.on_step("building")
        self.builder.build(full_refresh=True)
        remove_others(self.builder.published)
        self.on_step("rewriting the warehouse")
        with self.loader.locked(), self.loader.warehouse.session() as session:
            session.compact()


def _ids_in(mark: Path) -> set[tuple[str, str]]:
    """Return those that an erasure that died had found; what it cleaned already no longer tells."""
    # An earlier version's mark is empty.
    content = mark.read_bytes() if mark.exists() else b""
    return {(source, text) for source, text in orjson.loads(content)} if content else set()


def _rewrite_unreadable(path: Path, tombstones: Tombstones) -> bool:
    before = path.read_bytes()
    # Whose they are nobody can say, so every source that ever erased anybody is asked for.
    after = before
    for source in tombstones.sources():
        after = tombstones.cleaned_bytes(source, after)
    if after == before:
        return False
    write_whole(path, [after])
    return True


def _clean_raw(session: WarehouseSession, tombstones: Tombstones, ids: Sequence[str]) -> Iterator[tuple[str, int]]:
    present = session.table_names(DATASET)
    for table in TABLES:
        held = rows_holding(session, table, ids) if table in present else None
        if held is None or not held.num_rows:
            continue
        before = held.to_pylist()
        changed = [(old, new) for old in before if (new := _cleaned_row(table, old, tombstones)) != old]
        if not changed:
            continue
        session.forget_build()
        key = (*RAW_TABLES[table].key, "batch_id") if table in EVENT_COLUMNS else RAW_TABLES[table].key
        with session.changing(None):
            session.remove_rows(table, pa.Table.from_pylist([old for old, _ in changed], schema=held.schema), key)
            session.add_rows(table, pa.Table.from_pylist([new for _, new in changed], schema=held.schema))
        yield table, len(changed)
    changes = _clean_activity(session, tombstones) if _ACTIVITY in present else 0
    if changes:
        session.forget_build()
        yield _ACTIVITY, changes
    session.empty_staging()


def _clean_activity(session: WarehouseSession, tombstones: Tombstones) -> int:
    """Take those who were erased out of the days of players; return how many rows changed."""
    changes = 0
    for source, customer in session.execute(f"select distinct source_id, customer_id from {DATASET}.{_ACTIVITY}"):
        pseudonym = tombstones.replacement(source, customer)
        if pseudonym is None:
            continue
        of_customer = "where source_id = $source and customer_id = $customer"
        values = {"source": source, "customer": customer}
        keys = session.execute(f"select row_key from {DATASET}.{_ACTIVITY} {of_customer}", values)
        changes += len(keys)
        # The key is a hash of the id and of what can be guessed.
        for key in sorted({key for (key,) in keys}):
            session.execute(
                f"update {DATASET}.{_ACTIVITY} set customer_id = $pseudonym, row_key = $keyed, "
                f"part = case when part = $key then $keyed else part end {of_customer} and row_key = $key",
                {**values, "pseudonym": pseudonym, "key": key, "keyed": tombstones.keyed(key)},
            )
    return changes


def _cleaned_row(table: str, row: dict[str, Any], tombstones: Tombstones) -> dict[str, Any]:
    source = row["source_id"]
    new: dict[str, Any] = dict(row)
    replacement = tombstones.replacement_in(source, row["payload"] or "")
    if row["payload"] is not None:
        new["payload"] = tombstones.cleaned(source, row["payload"])
    if row.get("payload_base64") is not None:
        new["payload_base64"] = tombstones.cleaned_base64(source, row["payload_base64"])
    for name, column in TEXT_COLUMNS.get(table, {}).items():
        value = row[name]
        if value is None:
            continue
        if column.kind is Kind.JSON:
            new[name] = replaced_in(value, replacement)
        elif not is_protected(column.path, value):
            new[name] = replacement(value) or value
    if new.get("customer_id") != row.get("customer_id") and "customer_external_id" in new:
        for name in ("customer_external_id", "customer_registered_at"):
            new[name] = None
    return new
