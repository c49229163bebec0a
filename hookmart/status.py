"""`hookmart status`: what became of everything received, and what waits."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from ingest.settings import Settings
from ingest.staging import Stage
from pipelines.publish import CURRENT, PUBLISHED_NOTE
from pipelines.status import NOTHING_YET, SourceStatus, read_status

_COUNTS = (
    "received", "loaded", "duplicate", "conflicting", "quarantined", "quarantined_open", "refused", "unexplained",
    "ignored",
)  # fmt: skip


def status_document(settings: Settings) -> dict[str, Any]:
    """
    Return the stage, the newest load, the published generation and every source.

    Reads the stage and what the loader wrote last; never opens the warehouse, so it never waits for a writer.
    """
    loaded = read_status(settings.warehouse.state)
    return {
        "stage": stage_document(Stage(settings.stage.directory)),
        "load_seq": loaded.load_seq,
        "loaded_at": loaded.loaded_at,
        "published": _published(settings),
        "sources": {
            name: {
                **asdict(source.counts),
                "quarantined_open": source.quarantined_open,
                "unexplained": source.unexplained,
                "ignored": source.ignored,
                "unexplained_days": source.unexplained_days,
                "last_received_at": source.last_received_at,
                "secrets": {**dict.fromkeys(_secrets_of(settings, name)), **source.secrets},
            }
            for name, source in _every_source(settings, loaded.sources).items()
        },
    }


def _published(settings: Settings) -> str | None:
    current = settings.warehouse.publish / CURRENT
    if settings.warehouse.publishes_a_copy:
        return current.resolve().name if current.exists() else None
    note = settings.warehouse.state / "dbt" / PUBLISHED_NOTE
    return note.read_text(encoding="utf-8") if note.exists() else None


def _every_source(settings: Settings, loaded: Mapping[str, SourceStatus]) -> dict[str, SourceStatus]:
    """Those that are configured, also where nothing of them is loaded yet, and those that once were."""
    return {name: loaded.get(name, NOTHING_YET) for name in [*settings.sources, *loaded]}


def _secrets_of(settings: Settings, name: str) -> tuple[str, ...]:
    source = settings.sources.get(name)
    return () if source is None else source.secrets


def stage_document(stage: Stage) -> dict[str, int]:
    """Return how much of *stage* waits for the next load."""
    closed, live = stage.closed_segments(), stage.live_segments()
    return {
        "closed_segments": len(closed),
        "open_segments": len(live),
        "waiting_bytes": sum(segment.size for segment in (*closed, *live)),
    }


def stage_line(stage: dict[str, int]) -> str:
    """Return *stage*, a `stage_document`, as text for people."""
    return f"{stage['closed_segments']} closed and {stage['open_segments']} open, {stage['waiting_bytes']:,} bytes"


def status_table(document: dict[str, Any]) -> Group:
    """Return *document* as text for people."""
    sources = document["sources"]
    table = Table(show_header=True, header_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("source")
    for name in sources:
        table.add_column(name, justify="right")
    table.add_row("last received", *(_second(each["last_received_at"]) for each in sources.values()))
    for count in _COUNTS:
        values = (each[count] for each in sources.values())
        table.add_row(count.replace("_", " "), *("-" if value is None else f"{value:,}" for value in values))
    for secret in sorted({secret for each in sources.values() for secret in each["secrets"]}):
        table.add_row(f"last by {escape(secret)}", *(_second(each["secrets"].get(secret)) for each in sources.values()))
    return Group(
        f"staged segments  {stage_line(document['stage'])}",
        f"newest load      {document['load_seq']}, {document['loaded_at'] or 'none yet'}",
        f"published        {document['published'] or 'nothing yet'}",
        table,
        "received = loaded + duplicate + quarantined + refused; conflicting are among the duplicates; "
        "ignored are deliveries without an event",
    )


def _second(instant: str | None) -> str:
    return (instant or "-").partition(".")[0]
