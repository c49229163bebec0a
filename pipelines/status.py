"""
What became of everything received, by source.

Written by the loader after each load, so that looking never has to open the warehouse.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from uuid import uuid4

from pipelines.batches import Counts
from pipelines.warehouse import WarehouseSession

_FILE_NAME = "status.json"


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """
    One source.

    Attributes:
        counts: Of all lines ever loaded.
        last_received_at: ISO 8601, UTC; of the newest delivery loaded.
        unexplained: Lines received that are neither in `raw` nor counted as duplicates. 0, or something is wrong.
        quarantined_open: Of the quarantined, those not replayed yet; None where the file was written before they were
            counted.
        secrets: By secret (`env:NAME`, `file:PATH`) when the newest delivery that it verified came, as
            `last_received_at`; none that verified nothing.
    """

    counts: Counts
    last_received_at: str | None
    unexplained: int
    quarantined_open: int | None = None
    secrets: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LoadStatus:
    """The warehouse after its newest load."""

    load_seq: int = 0
    loaded_at: str | None = None
    sources: dict[str, SourceStatus] = field(default_factory=dict)


def write_status(session: WarehouseSession, state: Path) -> None:
    """Write what the open warehouse says to *state*, whole or not at all."""
    rows, waiting, secrets = session.rows_by_source(), session.open_by_source(), session.secrets_by_source()
    sources = {}
    for source, (counts, last_received_at) in session.ledger_by_source().items():
        held = rows.get(source, {"events": 0, "quarantined": 0, "refused": 0})
        explained = held["events"] + counts.duplicate + held["quarantined"] + held["refused"]
        sources[source] = SourceStatus(
            counts, last_received_at, counts.received - explained, waiting.get(source, 0), secrets.get(source, {})
        )
    status = LoadStatus(session.last_load_seq(), session.last_loaded_at(), sources)
    state.mkdir(parents=True, exist_ok=True)
    work = state / f".{_FILE_NAME}-{uuid4().hex}"
    work.write_text(json.dumps(asdict(status), indent=1), encoding="utf-8")
    work.replace(state / _FILE_NAME)


def read_status(state: Path) -> LoadStatus:
    """Return the newest status in *state*; an empty one before the first load."""
    try:
        document = json.loads((state / _FILE_NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return LoadStatus()
    sources = {
        name: SourceStatus(
            Counts(**each["counts"]),
            each["last_received_at"],
            each["unexplained"],
            each.get("quarantined_open"),
            each.get("secrets", {}),
        )
        for name, each in document["sources"].items()
    }
    return LoadStatus(document["load_seq"], document["loaded_at"], sources)
