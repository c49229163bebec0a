"""`hookmart status`: what became of everything received, and what waits."""

from dataclasses import asdict
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table

from ingest.settings import Settings
from ingest.staging import Stage
from pipelines.publish import CURRENT
from pipelines.status import read_status

_COUNTS = ("received", "loaded", "duplicate", "conflicting", "quarantined", "refused", "unexplained")


def status_document(settings: Settings) -> dict[str, Any]:
    """
    Return the stage, the newest load, the published generation and every source.

    Reads the stage and what the loader wrote last; never opens the warehouse, so it never waits for a writer.
    """
    stage = Stage(settings.stage.directory)
    closed, live = stage.closed_segments(), stage.live_segments()
    loaded = read_status(settings.warehouse.state)
    current = settings.warehouse.publish / CURRENT
    return {
        "stage": {
            "closed_segments": len(closed),
            "open_segments": len(live),
            "waiting_bytes": sum(segment.size for segment in (*closed, *live)),
        },
        "load_seq": loaded.load_seq,
        "loaded_at": loaded.loaded_at,
        "published": current.resolve().name if current.exists() else None,
        "sources": {
            name: {
                **asdict(source.counts),
                "unexplained": source.unexplained,
                "last_received_at": source.last_received_at,
            }
            for name, source in loaded.sources.items()
        },
    }


def status_table(document: dict[str, Any]) -> Group:
    """Return *document* as text for people."""
    sources = document["sources"]
    table = Table(show_header=True, header_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("source")
    for name in sources:
        table.add_column(name, justify="right")
    table.add_row("last received", *((each["last_received_at"] or "-").partition(".")[0] for each in sources.values()))
    for count in _COUNTS:
        table.add_row(count, *(f"{each[count]:,}" for each in sources.values()))
    stage = document["stage"]
    waiting = f"{stage['closed_segments']} closed and {stage['open_segments']} open, {stage['waiting_bytes']:,} bytes"
    return Group(
        f"staged segments  {waiting}",
        f"newest load      {document['load_seq']}, {document['loaded_at'] or 'none yet'}",
        f"published        {document['published'] or 'nothing yet'}",
        table,
        "received = loaded + duplicate + quarantined + refused; conflicting are among the duplicates",
    )
