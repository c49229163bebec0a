"""What must be so when a soak is over: each event loaded once, nothing unexplained, and the marts of the truth."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.loaded_events import loaded_events
from benchmarks.soaked_line import LOG, SENT, SOURCE, TRUTH, Platform, SoakedLine
from ingest.delivery import Delivery, staged_lines
from ingest.staging import CLOSED, Stage, new_batch_id
from pipelines.build import Builder
from pipelines.duckdb_warehouse import DuckDBWarehouse
from pipelines.load import Loader
from sending.log_reading import LogReader
from sending.policy import State

_LINES_TOGETHER = 20_000
_OF_ARRIVAL = frozenset({"pipeline_freshness"})
"""Marts that tell how events came, which is what faults change."""

_NOT_OF_ARRIVAL = {"data_exceptions": "rule <> 'quarantined_event'"}
"""Rows of others that do not."""


def findings(line: SoakedLine, platform: Platform) -> list[str]:
    """Return what is wrong, in sentences; nothing where all is as it must be. The line has been drained."""
    return [*_of_status(line), *_of_the_log(line), *_of_raw(line), *_of_marts(line), *_of_books(platform)]


def counts(line: SoakedLine) -> dict[str, dict[str, Any]]:
    """Return what `hookmart status` says of every source."""
    sources: dict[str, dict[str, Any]] = json.loads(line.status().stdout)["sources"]
    return sources


def _of_status(line: SoakedLine) -> Iterator[str]:
    for name, source in counts(line).items():
        explained = source["loaded"] + source["duplicate"] + source["quarantined"] + source["refused"]
        if source["unexplained"] or explained != source["received"]:
            yield f"{name}: {source['received']} received, {explained} explained."
        if source["conflicting"]:
            yield f"{name}: {source['conflicting']} conflicting."


def _of_the_log(line: SoakedLine) -> Iterator[str]:
    stands = LogReader(line.directory / LOG).counts()
    for state in (State.waiting, State.undeliverable):
        if stands[state]:
            yield f"{stands[state]} deliveries are {state} in the sender's log."
    said = (line.directory / SENT).read_text(encoding="utf-8").strip()
    if not said:
        yield "The sender printed no report."
    elif json.loads(said)["unexpected"]:
        yield f"Wrong answers: {json.loads(said)['unexpected']}."


def _of_raw(line: SoakedLine) -> Iterator[str]:
    truth = [json.loads(row)["id"] for row in (line.directory / TRUTH).read_bytes().splitlines()]
    with duckdb.connect(line.directory / "var" / "warehouse.duckdb", read_only=True) as connection:
        loaded = [row[0] for row in connection.execute(loaded_events(SOURCE)).fetchall()]
    if sorted(truth) != sorted(loaded):
        missing, extra = set(truth) - set(loaded), set(loaded) - set(truth)
        twice = len(loaded) - len(set(loaded))
        yield f"{len(truth)} events are true; {len(missing)} are missing, {len(extra)} are extra, {twice} are twice."


def _of_marts(line: SoakedLine) -> Iterator[str]:
    """Compare with the marts of the same events that came once, in their order, without a fault."""
    root = line.directory / "truth"
    _build_truth(root, line.directory / TRUTH)
    published = Path("published") / "current" / "marts.duckdb"
    with duckdb.connect() as connection:
        connection.execute(f"attach '{line.directory / 'var' / published}' as soaked (read_only)")
        connection.execute(f"attach '{root / published}' as truth (read_only)")
        names = [
            str(name)
            for (name,) in connection.execute(
                "select table_name from duckdb_tables() where database_name = 'truth' order by all"
            ).fetchall()
        ]
        for name in names:
            if name in _OF_ARRIVAL:
                continue
            soaked = f"(from soaked.marts.{name} where source_id = '{SOURCE}' and {_NOT_OF_ARRIVAL.get(name, 'true')})"
            wrong = connection.execute(
                f"select count(*) from (({soaked} except all from truth.marts.{name})"
                f" union all (from truth.marts.{name} except all {soaked}))"
            ).fetchone()
            if wrong and wrong[0]:
                yield f"{name}: {wrong[0]} rows differ from those of the truth."


def _of_books(platform: Platform) -> Iterator[str]:
    """Ask the platform, which kept books of its own while it played."""
    checked = platform.check()
    if checked.returncode:
        yield f"`simulate --check` says: {(checked.stdout + checked.stderr).strip()[:2000]}"


def _build_truth(root: Path, truth: Path) -> None:
    stage = Stage(root / "stage")
    stage.root.mkdir(parents=True)
    bodies = truth.read_bytes().splitlines()
    for start in range(0, len(bodies), _LINES_TOGETHER):
        lines = (
            line
            for body in bodies[start : start + _LINES_TOGETHER]
            for line in staged_lines(Delivery(SOURCE), datetime.now(UTC), "truth", body)
        )
        (stage.root / (new_batch_id() + CLOSED)).write_bytes(b"".join(line.encode() for line in lines))
    warehouse = DuckDBWarehouse(root / "warehouse.duckdb")
    Loader(stage, root / "archive", warehouse, root / "state").load()
    Builder(warehouse, root / "published", root / "state" / "dbt").build()
