"""A warehouse with a large programme in it: one that was played and loaded, and copies of it made by SQL."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import duckdb

from benchmarks.loader_site import LoaderSite
from benchmarks.staged_events import accepted_line, instant_of, write_segments
from ingest.staging import StagedLine
from models.columns import EVENT_COLUMNS
from models.reading import read_event
from pipelines.duckdb_known_events import note_every_event
from simulator.journal import Event
from simulator.programme import ProgrammeSize, play_programme

END = datetime(2026, 11, 1, tzinfo=UTC)
PLAYED = 100_000
PARTNERS = 200

_COPIES_AT_A_TIME = 10
_MILLISECOND = timedelta(milliseconds=1)

_OF_A_COPY = frozenset(
    {
        "click_id", "tracking_click_id", "conversion_id", "parent_conversion_id", "related_conversion_id",
        "external_id", "customer_id", "customer_external_id", "commission_id", "preview_commission_id",
        "sub_affiliate_source_commission_id", "payout_id", "payout_batch_id", "retry_of_payout_id", "adjustment_id",
        "tier_change_id",
    }
)  # fmt: skip
"""Columns whose ids are other ones in each copy; partners, campaigns and plans are the same."""


def programme(seed: int, events: int = PLAYED) -> list[Event]:
    """The events of a programme of PARTNERS partners, in the order in which they happened; other ids by *seed*."""
    return list(play_programme(seed, ProgrammeSize(events, PARTNERS), END))


def lines_of(events: list[Event], received_at: datetime, seed: int) -> Iterator[StagedLine]:
    """*events* as staged lines, a millisecond after each other."""
    random = Random(seed)  # noqa: S311  # a sequence that can be repeated is the point
    for number, event in enumerate(events):
        header = read_event(event.body)
        yield accepted_line(
            received_at + number * _MILLISECOND, random, header.event_id, header.event_type, header.schema_version,
            instant_of(header.occurred_at), event.body.decode(),
        )  # fmt: skip


@dataclass(slots=True)
class MartHistory:
    """
    The warehouse of *site*: PLAYED events, staged and loaded, and copies of them.

    The copies happen at the same times, to the same partners, with conversions, customers, commissions and payouts of
    their own; their payloads are empty, since no mart reads them.

    Attributes:
        copies: Programmes in it, the played one among them.
        played_loads: Of the played one.
    """

    site: LoaderSite
    copies: int = 0
    played_loads: int = 0

    @property
    def events(self) -> int:
        """How many it has of the history."""
        return self.copies * PLAYED

    def grow(self, events: int, scratch: Path) -> None:
        """Have *events*, in whole copies."""
        if not self.copies:
            write_segments(scratch / "played", lines_of(programme(1), END, 1))
            self.site.stage(scratch / "played")
            self.site.loader().load()
            self.copies = 1
            self.played_loads = _last_load(self.site)
        with duckdb.connect(self.site.warehouse()) as connection:
            while self.events < events:
                until = min(self.copies + _COPIES_AT_A_TIME, -(-events // PLAYED))
                _copy(connection, range(self.copies, until), self.played_loads)
                self.copies = until
            note_every_event(connection)


def _last_load(site: LoaderSite) -> int:
    with duckdb.connect(site.warehouse(), read_only=True) as connection:
        row = connection.execute("select max(load_seq) from raw.loads").fetchone()
    return int(row[0]) if row else 0


def _copy(connection: duckdb.DuckDBPyConnection, numbers: range, played_loads: int) -> None:
    def insert(table: str) -> None:
        copies = " union all ".join(_copied(table, number, played_loads) for number in numbers)
        connection.cursor().execute(f"insert into raw.{table} {copies}")

    with ThreadPoolExecutor() as pool:
        list(pool.map(insert, (*EVENT_COLUMNS, "deliveries", "loads")))


def _copied(table: str, number: int, played_loads: int) -> str:
    changed = {"load_seq": f"load_seq + {number * played_loads}", "batch_id": f"'{number:08x}' || batch_id[9:]"}
    if table != "loads":
        changed["delivery_id"] = f"'{number:08x}' || delivery_id[9:]"
        changed["event_id"] = f"'{number}_' || event_id"
    if table in EVENT_COLUMNS:
        ids = {column.name for column in EVENT_COLUMNS[table]} & _OF_A_COPY
        changed |= {name: f"'{number}_' || {name}" for name in sorted(ids)}
        changed["body_sha256"] = "sha256(" + changed["event_id"] + ")"
        changed["payload"] = "'{}'"
    values = ", ".join(f"{value} as {name}" for name, value in changed.items())
    return f"select * replace ({values}) from raw.{table} where load_seq <= {played_loads}"
