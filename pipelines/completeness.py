"""
The ledger of loads against the rows that `raw` really holds, by source and day of receipt.

received = loaded + duplicate + quarantined + refused: the left side is what the ledger says came, the right one what
stands in the tables, and the duplicates that the ledger counted. What is left over is unexplained, and should be 0.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from models.columns import EVENT_COLUMNS
from pipelines.batches import Counts
from pipelines.raw_tables import DATASET
from pipelines.warehouse import WarehouseSession

DAYS_AT_A_TIME = 31
"""More days than these are not looked up one by one: then every row is counted."""


@dataclass(frozen=True, slots=True)
class DayOfSource:
    """
    What was received from one source on one day.

    Attributes:
        received_date: UTC.
        counts: What the ledger says; an event that gave way to an earlier copy is a duplicate.
        unexplained: Of the received, those that are neither duplicates nor rows.
    """

    source_id: str
    received_date: date
    counts: Counts
    unexplained: int


def ledger_by_source(session: WarehouseSession) -> dict[str, tuple[Counts, str]]:
    """Return what became of all lines ever loaded, and when the newest came (ISO 8601, UTC), by source; sorted."""
    gave_way = {source: (int(events), int(conflicts)) for source, events, conflicts in _gave_way(session, "source_id")}
    rows = session.execute(
        f"select source_id, max(last_received_at), {_SUMS} from {DATASET}.loads group by source_id order by source_id"
    )
    return {
        source: (_counts(totals).displacing(*gave_way.get(source, (0, 0))), iso(last)) for source, last, *totals in rows
    }


def days_of_loads(session: WarehouseSession, after_load_seq: int) -> set[date]:
    """Return the days of receipt that loads after *after_load_seq* changed."""
    rows = session.execute(
        f"select distinct received_date from {DATASET}.loads where load_seq > $load_seq "
        "union all "
        f"select distinct cast(received_at as date) from {DATASET}.displaced_events where load_seq > $load_seq",
        {"load_seq": after_load_seq},
    )
    return {_day(day) for (day,) in rows}


def completeness(session: WarehouseSession, days: Collection[date] | None = None) -> list[DayOfSource]:
    """Compare ledger and rows of *days*, of all days where it is None; sorted by source and day."""
    held: dict[tuple[str, date], int] = {}
    for source, day, number in _held(session, days):
        held[source, day] = held.get((source, day), 0) + number
    gave_way = {
        (source, _day(day)): (int(events), int(conflicts))
        for source, day, events, conflicts in _gave_way(session, "source_id, cast(received_at as date)")
    }
    found = {}
    rows = session.execute(
        f"select source_id, received_date, {_SUMS} from {DATASET}.loads"
        f"{_on(days, 'received_date')} group by source_id, received_date"
    )
    for source, day, *totals in rows:
        key = source, _day(day)
        counts = _counts(totals).displacing(*gave_way.get(key, (0, 0)))
        found[key] = DayOfSource(*key, counts, counts.received - counts.duplicate - held.pop(key, 0))
    for key, number in held.items():  # rows of no load
        found[key] = DayOfSource(*key, Counts(), -number)
    return [found[key] for key in sorted(found)]


def iso(moment: datetime) -> str:
    """Return *moment*, in UTC, as ISO 8601."""
    utc = moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
    return utc.isoformat(timespec="microseconds") + "Z"


_SUMS = ", ".join(f"sum({name})" for name in Counts.__slots__)

_HELD = {
    **dict.fromkeys(EVENT_COLUMNS, ""),
    "quarantined_events": "",
    "deliveries": "outcome = 'refused'",
}


def _held(session: WarehouseSession, days: Collection[date] | None) -> Iterator[tuple[str, date, int]]:
    for table, condition in _HELD.items():
        where = _between(days)
        conditions = " and ".join(part for part in (condition, where) if part)
        for source, day, rows in session.execute(
            f"select source_id, cast(received_at as date), count(*) from {DATASET}.{table}"
            f"{' where ' + conditions if conditions else ''} group by source_id, cast(received_at as date)"
        ):
            yield source, _day(day), int(rows)


def _gave_way(session: WarehouseSession, by: str) -> list[tuple[Any, ...]]:
    return session.execute(
        f"select {by}, count(*), sum(case when is_conflict then 1 else 0 end) from {DATASET}.displaced_events "
        f"group by {by}"
    )


def _between(days: Collection[date] | None) -> str:
    if days is None:
        return ""
    if not days:
        return "false"
    # An instant between bounds, not the day of an instant, so that an engine can leave out what is of other days.
    stretches = (
        f"(received_at >= timestamp '{day} 00:00:00' and received_at < timestamp '{day + timedelta(days=1)} 00:00:00')"
        for day in sorted(days)
    )
    return f"({' or '.join(stretches)})"


def _on(days: Collection[date] | None, column: str) -> str:
    if days is None:
        return ""
    if not days:
        return " where false"
    return f" where {column} in ({', '.join(f'date {chr(39)}{day}{chr(39)}' for day in sorted(days))})"


def _counts(totals: list[Any]) -> Counts:
    return Counts(*(int(total) for total in totals))


def _day(day: date | datetime) -> date:
    return day.date() if isinstance(day, datetime) else day
