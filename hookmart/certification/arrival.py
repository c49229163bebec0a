"""Step 6: what was acknowledged arrived, once, and nothing else did; asked of stage, warehouse and marts."""

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from hookmart.certification.arrived import Arrived, look
from hookmart.certification.check import Check, Step, failed, not_exercised, passed
from hookmart.certification.sample_events import ADJUSTED, EARNED, SampleEvents
from hookmart.certification.specimen import Sent
from hookmart.reconcile import published_marts
from hookmart.status import stage_document, status_document
from hookmart.terminal import OperationError
from hookmart.wiring import impatient, warehouse_of
from ingest.errors import SettingsError
from ingest.settings import Settings
from ingest.staging import Stage
from pipelines.errors import NotPublishedError, PipelineError, WarehouseAwayError, WarehouseLockedError
from pipelines.warehouse import Warehouse

_STEP = Step.ARRIVAL
_POLL_SECONDS = 1.0
_PATIENCE = 1.0
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
        if self.is_forced or self.settings.stage.directory.exists():
            return True
        try:
            return warehouse_of(self.settings).exists()
        except (SettingsError, OperationError, PipelineError):
            return False  # its address or its driver is on the receiver's machine only

    def checks(self, sent: Sent, samples: SampleEvents, *, is_mapped: bool) -> Iterator[Check]:
        """Wait until all that was *sent* has arrived or the limit has passed; yield what there is to say."""
        deadline = time.monotonic() + self.wait
        try:
            arrived = self._wait(impatient(warehouse_of(self.settings), _PATIENCE), sent, deadline)
            yield self._once(sent, arrived)
            yield from _counted(sent, arrived, samples.run)
            yield self._explained()
            yield self._in_marts(arrived, samples, deadline, is_mapped=is_mapped)
        except (SettingsError, OperationError, PipelineError) as error:
            yield failed(
                _STEP, "warehouse and marts can be read", "a look at them", "they open", str(error),
                "See what `hookmart doctor` says of them; or say --no-arrival.",
            )  # fmt: skip

    def _wait(self, warehouse: Warehouse, sent: Sent, deadline: float) -> Arrived:
        arrived = Arrived()
        while True:
            is_last = time.monotonic() > deadline
            try:
                arrived = look(warehouse, self.source, sent)
            except (WarehouseLockedError, WarehouseAwayError):
                # A build may have it, or a server be on its way back: there is another look after the limit.
                if is_last:
                    raise
            if is_last or not arrived.lacks(sent):
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


def _leftovers(run: str) -> str:
    """How to tell what this run leaves in quarantine; nothing leaves it but by a replay, and these never fit."""
    return (
        "Nothing is ever dropped from quarantine, so they stay open there. They are told by the run: `select * from"
        f" raw.quarantined_events where payload like '%{run}%'` finds those that are text."
    )


def _counted(sent: Sent, arrived: Arrived, run: str) -> Iterator[Check]:
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
        kept = f"{len(sent.quarantined) - len(lost)} kept, open for good"
        yield (
            failed(_STEP, name, what, wanted, kept, "Genuine bytes that were acknowledged are nowhere; report this.")
            if lost
            else replace(passed(_STEP, name, what, wanted, kept), remedy=_leftovers(run))
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


def _published_load(published: str | None) -> int | None:
    """`gen-12`, `gen-12.2` or `marts, up to load 12`."""
    found = re.search(r"\d+", published or "")
    return int(found[0]) if found else None


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_NAMED]) + (
        f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    )
