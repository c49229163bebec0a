"""The line from staged events to marts, for tests that need no HTTP: real segments, real dlt, real dbt, real DuckDB."""

import atexit
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from ingest.staging import CLOSED, Stage, StagedLine, new_batch_id
from ingest.tombstones import Tombstones
from ingest.uuid7 import new_uuid7
from models.inputs import INPUTS
from models.reading import ContractViolation, read_event
from pipelines.build import Builder, BuildReport
from pipelines.duckdb_warehouse import DuckDBWarehouse
from pipelines.input_changes import Input
from pipelines.input_rows import InputShape
from pipelines.inputs import InputLoader
from pipelines.load import Loader, LoadReport
from pipelines.warehouse import Warehouse
from tests.input_files import NOON, write_file
from tests.oracle_events import body, read_timestamp

RECEIVED_AT = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
_MARTS = "select table_name from information_schema.tables where table_schema = 'marts' order by 1"

_COMPILED = "TESTS_COMPILED"

_PARSED: dict[tuple[str, str], Builder] = {}
"""
By dbt's target, and the server's database, whose name dbt keeps: a builder that has parsed the project in this process,
which takes longer than building.
"""


def _parsing_of(warehouse: Warehouse) -> tuple[str, str]:
    return warehouse.dbt_target, warehouse.dbt_environment().get("HOOKMART_POSTGRES_DATABASE", "")


def share_compiled(state: Path) -> None:
    """
    Let the builder that keeps its *state* there find what dbt compiled for other tests, and leave what it compiles.

    A file is named for all that its content depends on; so what one test does to the project is not another's.
    """
    link = state / "dbt" / "compiled"
    if not link.exists():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(_compiled_by_all(), target_is_directory=True)


def _compiled_by_all() -> Path:
    """A directory for the processes of this run of the tests, which the first of them removes in the end."""
    if _COMPILED not in os.environ:
        run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
        directory = Path(tempfile.gettempdir()) / f"hookmart-compiled-{run}"
        atexit.register(shutil.rmtree, directory, ignore_errors=True)
        os.environ[_COMPILED] = str(directory)
    directory = Path(os.environ[_COMPILED])
    directory.mkdir(exist_ok=True)
    return directory


def staged_line(source: str, raw: bytes, received_at: datetime) -> StagedLine:
    """The line that the receiver writes for a verified body."""
    stamp = received_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    sha256 = hashlib.sha256(raw).hexdigest()
    try:
        header = read_event(raw)
    except ContractViolation as violation:
        return StagedLine(
            is_delivery=True, delivery_id=str(new_uuid7()), source_id=source, received_at=stamp, status_code=200,
            outcome="quarantined", reason=violation.reason, detail=violation.detail, response_ms=1.0,
            body_bytes=len(raw), secret_name="env:TEST", event_id=violation.event_id, event_type=violation.event_type,
            schema_version=violation.schema_version, body_sha256=sha256, payload=raw.decode(),
        )  # fmt: skip
    return StagedLine(
        is_delivery=True, delivery_id=str(new_uuid7()), source_id=source, received_at=stamp, status_code=200,
        outcome="accepted", response_ms=1.0, body_bytes=len(raw), secret_name="env:TEST", event_id=header.event_id,
        event_type=header.event_type, schema_version=header.schema_version,
        occurred_at=header.occurred_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0"),
        has_synthetic_id=header.has_synthetic_id, body_sha256=sha256, payload=raw.decode(),
    )  # fmt: skip


class BareLine:
    """
    One stage and one warehouse, of whatever engine, under *root*.

    Attributes:
        warehouse: Where events go.
    """

    warehouse: Warehouse

    def __init__(self, root: Path, warehouse: Warehouse, timezone: str = "UTC", builder: Builder | None = None) -> None:
        self.root = root
        self.stage = Stage(root / "stage")
        self.stage.root.mkdir(parents=True, exist_ok=True)
        self.warehouse = warehouse
        self.loader = Loader(self.stage, root / "archive", self.warehouse, root / "state")
        self.builder = Builder(self.warehouse, root / "published", root / "state" / "dbt", reporting_timezone=timezone)
        parsed = builder or _PARSED.get(_parsing_of(warehouse))
        if parsed is not None:
            self.builder._manifest, self.builder._parsed = parsed._manifest, parsed._parsed
        self._received = 0
        self._input_files = 0

    def stage_posts(self, posts: Sequence[Mapping[str, Any]], segments: int = 1) -> None:
        """
        Stage posted events (with their `source`) in their order, in so many closed segments.

        One that says when it was received was received then, the others one millisecond after another.
        """
        size = max(1, -(-len(posts) // segments))
        for start in range(0, len(posts), size):
            self.stage_lines(
                [
                    staged_line(str(post["source"]), body(dict(post)), self._received_at(post))
                    for post in posts[start : start + size]
                ]
            )

    def stage_bodies(self, bodies: Iterable[tuple[str, bytes]]) -> Path:
        """Stage raw bodies of sources as one closed segment, as received one millisecond after another."""
        return self.stage_lines([staged_line(source, raw, self._received_at({})) for source, raw in bodies])

    def _received_at(self, post: Mapping[str, Any]) -> datetime:
        if "received_at" in post:
            return read_timestamp(post["received_at"]).replace(tzinfo=UTC)
        self._received += 1
        return RECEIVED_AT + timedelta(milliseconds=self._received)

    def stage_lines(self, lines: Iterable[StagedLine]) -> Path:
        """Stage *lines* as one closed segment."""
        return self.stage_raw(b"".join(line.encode() for line in lines))

    def stage_raw(self, content: bytes) -> Path:
        """Stage a closed segment that holds just these bytes."""
        path = self.stage.root / (new_batch_id() + CLOSED)
        path.write_bytes(content)
        return path

    def load_inputs(self, inputs: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Load optional inputs, rows by name, from files; those of a name take the place of what it had."""
        found = []
        for name, rows in inputs.items():
            self._input_files += 1
            path = write_file(self.root / "inputs" / f"{name}.csv", rows, NOON + self._input_files)
            found.append(Input(InputShape(INPUTS[name]), path))
        InputLoader(
            found, self.warehouse, self.root / "state", tombstones=lambda: Tombstones(self.root / "archive")
        ).load()

    def load(self) -> LoadReport:
        return self.loader.load()

    def build(self, *, full_refresh: bool = False) -> BuildReport:
        share_compiled(self.root / "state")
        report = self.builder.build(full_refresh=full_refresh)
        self._keep_parsed()
        return report

    def derive(self, *, full_refresh: bool = False) -> None:
        """Only dbt's part of a build: the marts in the warehouse, without gate tests and publication."""
        share_compiled(self.root / "state")
        with self.warehouse.session() as session:
            plan = self.builder.plan(session, full_refresh=full_refresh)
            if plan is not None:
                self.builder.derive(session, plan)
                session.stamp_build(plan.fingerprint)
        self._keep_parsed()

    def query_warehouse(self, sql: str) -> list[dict[str, Any]]:
        """Rows from the warehouse itself; no reader but a test may do this."""
        raise NotImplementedError

    def _keep_parsed(self) -> None:
        if self.builder._manifest is not None:
            _PARSED[_parsing_of(self.warehouse)] = self.builder


class PublishingLine(BareLine):
    """One whose marts are published as files."""

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Rows from the published file."""
        return _rows(self.root / "published" / "current" / "marts.duckdb", sql)

    def marts(self) -> dict[str, list[dict[str, Any]]]:
        """All rows of all published marts, sorted by all their columns."""
        return _all_marts(self.root / "published" / "current" / "marts.duckdb")


class Line(PublishingLine):
    """One stage, one DuckDB warehouse, one published directory under *root*."""

    warehouse: DuckDBWarehouse

    def __init__(self, root: Path, timezone: str = "UTC", builder: Builder | None = None) -> None:
        super().__init__(root, DuckDBWarehouse(root / "warehouse.duckdb", patience=5), timezone, builder)

    def query_warehouse(self, sql: str) -> list[dict[str, Any]]:
        """Rows from the warehouse itself; no reader but a test may do this."""
        return _rows(self.warehouse.database, sql)

    def queries_of_warehouse(self, queries: Sequence[str]) -> list[list[dict[str, Any]]]:
        """The rows of each of *queries*, from the warehouse as it was when the first was asked."""
        with _opened(self.warehouse.database) as connection:
            return [_rows_of(connection, sql) for sql in queries]

    def warehouse_marts(self) -> dict[str, list[dict[str, Any]]]:
        """All rows of all marts in the warehouse, sorted by all their columns."""
        return _all_marts(self.warehouse.database)


def _rows(database: Path, sql: str) -> list[dict[str, Any]]:
    with _opened(database) as connection:
        return _rows_of(connection, sql)


def _all_marts(database: Path) -> dict[str, list[dict[str, Any]]]:
    # Opened once: to open the warehouse reads its log, which takes longer than all its marts.
    with _opened(database) as connection:
        tables = [row["table_name"] for row in _rows_of(connection, _MARTS)]
        return {table: _rows_of(connection, f"from marts.{table} order by all") for table in tables}


@contextmanager
def _opened(database: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        # Under the file's own name, marts, DuckDB calls `marts.conversions` ambiguous: catalog or schema?
        connection.execute(f"attach '{database}' as opened (read_only)")
        connection.execute("use opened")
        yield connection


def _rows_of(connection: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, Any]]:
    cursor = connection.execute(sql)
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def fixture_bodies(fixtures: Path) -> list[bytes]:
    """The example events, compact, in their order."""
    return [
        json.dumps(json.loads(path.read_text()), separators=(",", ":")).encode()
        for path in sorted(fixtures.glob("*.json"))
    ]
