"""A place to load in: a configuration, a stage and a warehouse of their own, as `hookmart` would find them."""

from dataclasses import dataclass
from pathlib import Path

import duckdb

from benchmarks.running_server import HOOKMART, Command
from benchmarks.signed_bodies import SECRET
from benchmarks.staged_events import SOURCE
from hookmart.wiring import builder_of, loader_of
from ingest.secrets import resolve_secrets
from ingest.settings import Settings, load_settings
from ingest.staging import CLOSED
from models.columns import EVENT_COLUMNS
from pipelines.build import Builder, BuildReport
from pipelines.load import Loader
from pipelines.status import read_status
from sending.signing import Signer

_ENVIRON = {"ACME_WEBHOOK_SECRET": SECRET}
_CONFIGURATION = f"""\
[stage]
url = "stage"

[warehouse]
database = "warehouse.duckdb"
publish = "published"

[sources.{SOURCE}]
scheme = "hmac-sha256-hex"
header = "X-Webhook-Signature"
secrets = ["env:ACME_WEBHOOK_SECRET"]
"""


@dataclass(frozen=True, slots=True)
class LoaderSite:
    """Everything under *root*, which is on the disk that is measured."""

    root: Path

    def loader(self) -> Loader:
        """The loader that `hookmart load` would run here, with every setting at its default."""
        return loader_of(self._settings())

    def builder(self) -> Builder:
        """The builder that `hookmart build` would run here, likewise."""
        return builder_of(self._settings())

    def build_anew(self) -> BuildReport:
        """Derive everything anew, and publish it."""
        return self.builder().build(full_refresh=True)

    def up(self, port: int) -> Command:
        """`hookmart up` on *port*, to be run in *root*."""
        self._settings()
        return Command([*HOOKMART, "up", "--port", str(port)], _ENVIRON)

    def signer(self) -> Signer:
        """Signs what the source here accepts."""
        settings = self._settings()
        return Signer.of(settings.sources[SOURCE].signing, resolve_secrets(settings, _ENVIRON)[SOURCE])

    def published(self) -> Path:
        """Where readers find the marts."""
        return self._settings().warehouse.publish

    def stage(self, segments: Path) -> None:
        """Stage what lies in *segments*, by links: its bytes are neither copied nor moved by a load."""
        stage = self._settings().stage.directory
        stage.mkdir(parents=True, exist_ok=True)
        for segment in sorted(segments.glob(f"*{CLOSED}")):
            (stage / segment.name).hardlink_to(segment)

    def warehouse(self) -> Path:
        """Where its database is."""
        return self._settings().warehouse.database

    def rows(self) -> dict[str, int]:
        """How many rows each table of `raw` has, our own only."""
        with duckdb.connect(self.warehouse(), read_only=True) as connection:
            names = connection.execute(
                "select table_name from information_schema.tables"
                " where table_schema = 'raw' and not starts_with(table_name, '_dlt') order by 1"
            ).fetchall()
            counts = {name: connection.execute(f"select count(*) from raw.{name}").fetchone() for (name,) in names}
        return {name: row[0] if row else 0 for name, row in counts.items()}

    def events(self) -> int:
        """How many events are loaded, of whatever type."""
        rows = self.rows()
        return sum(rows[table] for table in EVENT_COLUMNS)

    def unexplained(self) -> int:
        """Lines that the newest status cannot account for."""
        return sum(abs(source.unexplained) for source in read_status(self._settings().warehouse.state).sources.values())

    def _settings(self) -> Settings:
        self.root.mkdir(parents=True, exist_ok=True)
        path = self.root / "hookmart.toml"
        if not path.exists():
            path.write_text(_CONFIGURATION, encoding="utf-8")
        return load_settings(path, {})
