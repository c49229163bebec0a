"""
What became of everything received, by source.

Written by the loader after each load, so that looking never has to open the warehouse. The ledger is compared with the
rows of the days that were loaded; with all rows once a day, and whenever there is no status to go on from.
"""

import json
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from uuid import uuid4

from pipelines.batches import Counts
from pipelines.completeness import DAYS_AT_A_TIME, completeness, days_of_loads, iso, ledger_by_source
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
        unexplained_days: The unexplained by day of receipt (ISO 8601, UTC); empty where there are none.
        ignored: Deliveries that were no event by the mapping of the source, and are none of the counts; None where the
            file was written before they were counted.
    """

    counts: Counts
    last_received_at: str | None
    unexplained: int
    quarantined_open: int | None = None
    secrets: dict[str, str] = field(default_factory=dict)
    unexplained_days: dict[str, int] = field(default_factory=dict)
    ignored: int | None = None


NOTHING_YET = SourceStatus(Counts(), None, 0, 0, ignored=0)
"""Of a source of which nothing was loaded."""


@dataclass(frozen=True, slots=True)
class LoadStatus:
    """
    The warehouse after its newest load.

    Attributes:
        loaded_at: ISO 8601, UTC.
        recounted_on: The day (ISO 8601, UTC) when all rows were last counted.
    """

    load_seq: int = 0
    loaded_at: str | None = None
    sources: dict[str, SourceStatus] = field(default_factory=dict)
    recounted_on: str | None = None


def write_status(session: WarehouseSession, state: Path, *, recounting: bool = False) -> None:
    """Write what the open warehouse says to *state*, whole or not at all; with *recounting* all rows are counted."""
    before = read_status(state)
    loaded_at = session.last_loaded_at()
    load_seq = session.last_load_seq()
    if loaded_at is None:
        return
    today = loaded_at.date().isoformat()
    goes_on = (
        not recounting
        and before.load_seq <= load_seq
        and before.recounted_on == today
        and all(source.ignored is not None for source in before.sources.values())
    )
    after = before.load_seq if goes_on else 0
    incomplete = _incomplete(session, before, after)
    waiting, secrets = session.open_by_source(), session.secrets_by_source(after)
    ignored = session.ignored_by_source(after)
    sources = {}
    for source, (counts, last_received_at) in ledger_by_source(session).items():
        earlier = before.sources.get(source, NOTHING_YET) if goes_on else NOTHING_YET
        newest = {secret: iso(moment) for secret, moment in secrets.get(source, {}).items()}
        days = {day: lines for (name, day), lines in incomplete.items() if name == source}
        sources[source] = SourceStatus(
            counts,
            last_received_at,
            sum(days.values()),
            waiting.get(source, 0),
            {
                secret: max(earlier.secrets.get(secret, ""), newest.get(secret, ""))
                for secret in sorted({*earlier.secrets, *newest})
            },
            days,
            (earlier.ignored or 0) + ignored.get(source, 0),
        )
    _write(LoadStatus(load_seq, iso(loaded_at), sources, today), state)


def _incomplete(session: WarehouseSession, before: LoadStatus, after: int) -> dict[tuple[str, str], int]:
    """Return the unexplained lines by source and day, none where there are none; of *before* what was not looked at."""
    known = {
        (source, day): lines for source, each in before.sources.items() for day, lines in each.unexplained_days.items()
    }
    days = days_of_loads(session, after) | {date.fromisoformat(day) for _, day in known}
    everything = not after or len(days) > DAYS_AT_A_TIME
    looked_at = completeness(session, None if everything else days)
    return {
        (each.source_id, each.received_date.isoformat()): each.unexplained for each in looked_at if each.unexplained
    }


def _write(status: LoadStatus, state: Path) -> None:
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
            each.get("unexplained_days", {}),
            each.get("ignored"),
        )
        for name, each in document["sources"].items()
    }
    return LoadStatus(document["load_seq"], document["loaded_at"], sources, document.get("recounted_on"))
