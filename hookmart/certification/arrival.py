"""Step 6: what was acknowledged arrived, once, and nothing else did; asked of stage, warehouse and marts."""

import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from hookmart.certification.check import Check, Step, failed, not_exercised, passed
from hookmart.certification.sample_events import ADJUSTED, EARNED, SampleEvents
from hookmart.certification.specimen import Sent
from hookmart.reconcile import published_marts
from hookmart.status import stage_document, status_document
from hookmart.wiring import warehouse_of
from ingest.settings import Settings
from ingest.staging import Stage
from models.event_types import RAW_EVENT_TABLES
from pipelines.errors import NotPublishedError
from pipelines.raw_tables import DATASET
from pipelines.warehouse import Warehouse, WarehouseSession

_STEP = Step.ARRIVAL
_POLL_SECONDS = 1.0
_AT_A_TIME = 500
_MOST_NAMED = 5

_MARTS = """
    select 'conversions' as mart, count(*) as held, cast(null as varchar) as amount
    from conversions where source_id = $source and partner_id = $partner
    union all
    select entry_type, count(*), cast(sum(amount) as varchar)
    from commission_ledger
    where source_id = $source and partner_id = $partner and entry_type in ('earned', 'adjusted')
    group by entry_type
"""


@dataclass(slots=True)
class Arrived:
    """
    What the warehouse holds of a run.

    Attributes:
        events: Rows of `raw`, by event id.
        deliveries: Requests answered 2xx, by the event id that they name.
        quarantined: SHA-256 of bodies in quarantine.
        forged: SHA-256 of forged bodies that are anywhere.
        conflicts: Event ids with another body kept apart.
        load_seq: Of the newest load.
    """

    events: Counter[str] = field(default_factory=Counter)
    deliveries: Counter[str] = field(default_factory=Counter)
    quarantined: set[str] = field(default_factory=set)
    forged: set[str] = field(default_factory=set)
    conflicts: set[str] = field(default_factory=set)
    load_seq: int = 0

    def lacks(self, sent: Sent) -> bool:
        """Whether anything that was acknowledged is not here yet."""
        return bool(
            sent.acknowledged - self.events.keys()
            or sent.quarantined - self.quarantined
            or sent.conflicting - self.conflicts
        )


@dataclass(frozen=True, slots=True)
class Arrival:
    """
    Where what was sent to one source should arrive.

    Attributes:
        wait: Seconds until then, at most.
        is_forced: Whether it is looked for even where neither stage nor warehouse is there yet.
    """

    settings: Settings
    source: str
    wait: float
    is_forced: bool = False

    def is_within_reach(self) -> bool:
        """Return whether there is anything to look into; a receiver makes its stage with the first request."""
        return self.is_forced or self.settings.stage.directory.exists() or warehouse_of(self.settings).exists()

    def checks(self, sent: Sent, samples: SampleEvents, *, is_mapped: bool) -> Iterator[Check]:
        """Wait until all that was *sent* has arrived or the limit has passed; yield what there is to say."""
        deadline = time.monotonic() + self.wait
        warehouse = warehouse_of(self.settings)
        arrived = self._wait(warehouse, sent, deadline)
        yield self._once(sent, arrived)
        yield from _counted(sent, arrived)
        yield self._explained()
        yield self._in_marts(arrived, samples, deadline, is_mapped=is_mapped)

    def _wait(self, warehouse: Warehouse, sent: Sent, deadline: float) -> Arrived:
        arrived = Arrived()
        while True:
            if warehouse.exists():
                with warehouse.session() as session:
                    arrived = _look(session, self.source, sent)
            if not arrived.lacks(sent) or time.monotonic() > deadline:
                return arrived
            time.sleep(_POLL_SECONDS)

    def _once(self, sent: Sent, arrived: Arrived) -> Check:
        name, what, expected = "in raw once", f"{len(sent.acknowledged):,} events acknowledged", "each in `raw` once"
        missing = sorted(sent.acknowledged - arrived.events.keys())
        several = sorted(event_id for event_id, rows in arrived.events.items() if rows > 1)
        came = f"{len(arrived.events.keys() & sent.acknowledged):,} there, {len(several):,} of them several times"
        if not missing and not several:
            return passed(_STEP, name, what, expected, came)
        if several:
            return failed(
                _STEP, name, what, expected, came,
                f"Events are counted several times: {_named(several)}. Keep `raw` as it is, and report this.",
            )  # fmt: skip
        waiting = stage_document(Stage(self.settings.stage.directory))
        if not arrived.events and not waiting["closed_segments"] and not waiting["open_segments"]:
            remedy = (
                "Nothing of it is in this configuration's stage or warehouse: either the address is another receiver's,"
                " then say --no-arrival, or it runs with another configuration."
            )
        elif waiting["closed_segments"]:
            remedy = (
                f"{waiting['closed_segments']:,} segments wait in the stage; run `hookmart load` or `hookmart up`, then"
                " this again. A slow loader needs a longer --wait."
            )
        else:
            remedy = f"Acknowledged and not there: {_named(missing)}. Look for *.unreadable in the stage."
        return failed(_STEP, name, what, expected, f"{came}, {len(missing):,} missing", remedy)

    def _explained(self) -> Check:
        name, expected = "nothing unexplained", "received = loaded + duplicate + quarantined + refused"
        known = status_document(self.settings)["sources"].get(self.source)
        if known is None or known["last_received_at"] is None:
            return not_exercised(
                _STEP, name, expected, "the loader's own figures are on another machine",
                "Run `hookmart status` there: unexplained must be 0.",
            )  # fmt: skip
        came = ", ".join(f"{count} {known[count]:,}" for count in _COUNTS)
        if known["unexplained"] == 0:
            return passed(_STEP, name, "hookmart status", expected, came)
        return failed(
            _STEP, name, "hookmart status", expected, came,
            "Lines were received that are in no table: keep stage and archive as they are, and look at the days that"
            " `hookmart status --json` names.",
        )  # fmt: skip

    def _in_marts(self, arrived: Arrived, samples: SampleEvents, deadline: float, *, is_mapped: bool) -> Check:
        name = "in the marts once" if samples.is_live else "kept out of the marts"
        expected = (
            f"1 conversion and its rejected twin, {EARNED} EUR earned, {ADJUSTED} EUR adjusted"
            if samples.is_live
            else "no row of a test event"
        )
        if is_mapped:
            return not_exercised(
                _STEP, name, expected, "the payloads are the platform's own, and so are their figures",
                "Compare the marts with the platform's own report: `hookmart reconcile`.",
            )  # fmt: skip
        sent, held = f"partner {samples.partner_id}", None
        while held is None:
            published = _published_load(status_document(self.settings)["published"])
            if published is not None and published >= arrived.load_seq > 0:
                held = self._held(samples)
            elif time.monotonic() > deadline:
                return failed(
                    _STEP, name, sent, expected,
                    f"load {arrived.load_seq} is not in the marts; published is {published or 'nothing'}",
                    "Run `hookmart build`, or `hookmart up`, which builds after each load; then this again.",
                )  # fmt: skip
            else:
                time.sleep(_POLL_SECONDS)
        came = ", ".join(
            f"{mart} {rows}{'' if amount is None else f' ({amount})'}" for mart, (rows, amount) in sorted(held.items())
        )
        if samples.is_live:
            is_right = held.get("conversions") == (2, None) and all(
                held.get(entry) == (1, Decimal(amount))
                for entry, amount in (("earned", EARNED), ("adjusted", ADJUSTED))
            )
            remedy = (
                "The marts do not say what was sent; run `hookmart build --full-refresh`, and report it if that helps."
            )
        else:
            is_right = not any(rows for rows, _ in held.values())
            remedy = "The marts count test events: set `include_test_events` to false, as it is by default."
        return (passed(_STEP, name, sent, expected, came) if is_right
                else failed(_STEP, name, sent, expected, came, remedy))  # fmt: skip

    def _held(self, samples: SampleEvents) -> dict[str, tuple[int, Decimal | None]] | None:
        try:
            with published_marts(self.settings) as marts:
                rows = marts(_MARTS, {"source": self.source, "partner": samples.partner_id}).to_pylist()
        except NotPublishedError:
            return None
        return {row["mart"]: (row["held"], None if row["amount"] is None else Decimal(row["amount"])) for row in rows}


_COUNTS = ("received", "loaded", "duplicate", "quarantined", "refused", "unexplained")


def _counted(sent: Sent, arrived: Arrived) -> Iterator[Check]:
    expected = sent.requests.total()
    name, wanted = "every repeat on record", "each answer is a request on record"
    repeats = f"{expected:,} answers of 2xx, {expected - len(sent.requests):,} of them to repeats"
    came = f"{sum(arrived.deliveries[event_id] for event_id in sent.requests):,} requests in `raw.deliveries`"
    yield (
        passed(_STEP, name, repeats, wanted, came)
        if arrived.deliveries >= sent.requests
        else failed(
            _STEP, name, repeats, wanted, came,
            "Requests that were answered 2xx are not on record; look at what the loader prints.",
        )
    )  # fmt: skip
    lost = sent.quarantined - arrived.quarantined
    if sent.quarantined:
        name, what, wanted = "in quarantine", f"{len(sent.quarantined)} bodies that are no events", "all of them kept"
        kept = f"{len(sent.quarantined) - len(lost)} kept"
        yield (
            failed(_STEP, name, what, wanted, kept, "Genuine bytes that were acknowledged are nowhere; report this.")
            if lost
            else passed(_STEP, name, what, wanted, kept)
        )
    if sent.conflicting:
        name, what, wanted = "the other body kept apart", "one id with two bodies", "the first stays, the other is kept"
        kept = f"{len(sent.conflicting & arrived.conflicts)} in `raw.event_conflicts`"
        yield (
            passed(_STEP, name, what, wanted, kept)
            if sent.conflicting <= arrived.conflicts
            else failed(_STEP, name, what, wanted, kept, "Nobody will see that the platform contradicted itself.")
        )
    name, what = "nothing forged", f"{len(sent.forged)} requests that nobody signed"
    if arrived.forged:
        yield failed(
            _STEP, name, what, "none of them anywhere", f"{len(arrived.forged)} loaded or quarantined",
            "Forged events are in the warehouse; see what step 3 says.",
        )  # fmt: skip
    elif sent.forged:
        yield passed(_STEP, name, what, "none of them anywhere", "none")


def _look(session: WarehouseSession, source: str, sent: Sent) -> Arrived:
    if session.missing_tables():
        return Arrived()
    ids = sorted({*sent.acknowledged, *sent.unanswered})
    arrived = Arrived(load_seq=session.last_load_seq())
    for table in RAW_EVENT_TABLES:
        arrived.events.update(_counts(session, table, source, "event_id", ids))
        arrived.forged.update(_counts(session, table, source, "body_sha256", sorted(sent.forged)))
    arrived.deliveries.update(_counts(session, "deliveries", source, "event_id", ids, "and status_code = 200"))
    bodies = sorted(sent.quarantined | sent.forged)
    quarantined = _counts(session, "quarantined_events", source, "body_sha256", bodies).keys()
    arrived.quarantined.update(quarantined & sent.quarantined)
    arrived.forged.update(quarantined & sent.forged)
    arrived.conflicts.update(_counts(session, "event_conflicts", source, "event_id", sorted(sent.conflicting)))
    return arrived


def _counts(
    session: WarehouseSession, table: str, source: str, column: str, values: Sequence[str], also: str = ""
) -> Counter[str]:
    found: Counter[str] = Counter()
    for start in range(0, len(values), _AT_A_TIME):
        names: Mapping[str, Any] = {f"value_{at}": value for at, value in enumerate(values[start : start + _AT_A_TIME])}
        places = ", ".join(f"${name}" for name in names)
        rows = session.execute(
            f"select {column}, count(*) from {DATASET}.{table} "
            f"where source_id = $source and {column} in ({places}) {also} group by {column}",
            {"source": source, **names},
        )
        found.update({value: int(count) for value, count in rows})
    return found


def _published_load(published: str | None) -> int | None:
    """`gen-12`, `gen-12.2` or `marts, up to load 12`."""
    found = re.search(r"\d+", published or "")
    return int(found[0]) if found else None


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_NAMED]) + (
        f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    )
