"""
What the receiver counts, in the words of Prometheus.

Of several workers, whichever a scrape reaches answers for all: see `ingest.worker_metrics`.
"""

import asyncio
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from logging import getLogger
from threading import Lock
from typing import Any

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    GC_COLLECTOR,
    PLATFORM_COLLECTOR,
    PROCESS_COLLECTOR,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from ingest.errors import REFUSALS
from ingest.staging import Segment, Stage
from ingest.worker_metrics import WorkersCollector, is_shared

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the response times, in seconds."""

STAGED = ("accepted", "quarantined")
"""The outcomes whose events are on disk."""

_logger = getLogger(__name__)

# A second series beside each one, to say when it began; between several workers the library has no such series at all.
disable_created_metrics()  # type: ignore[no-untyped-call]


class ReceiverMetrics:
    """
    The figures of one receiver. Told from its event loop only; a scrape may run beside that in another thread.

    One per process, where there are several workers.

    Args:
        sources: Names of the configured sources. Any other is counted under the name "", so that nothing a request
            says becomes a series.
        stage: Looked at when scraped.
        now: The clock, in Unix seconds.
    """

    def __init__(self, sources: Iterable[str], stage: Stage, *, now: Callable[[], float] = time.time) -> None:
        self._sources: set[str] = set()
        self._stage = _StageCollector(stage, now)
        self._now = now
        self._is_shared = is_shared()
        self._registry = CollectorRegistry()
        # Registered, a worker's own figures would appear a second time beside the sums over all workers.
        registry = None if self._is_shared else self._registry
        self._requests = Counter(
            "hookmart_requests",
            "Requests to a webhook path.",
            ["source", "outcome", "reason", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "hookmart_response_seconds",
            "From a request's first byte to its answer, the sync included.",
            ["source"],
            registry=registry,
            buckets=BUCKETS,
        )
        self._body_bytes = Counter("hookmart_body_bytes", "Bytes of bodies read.", ["source"], registry=registry)
        self._events = Counter(
            "hookmart_events", "Events staged, duplicates included.", ["source", "outcome"], registry=registry
        )
        self._last_event = Gauge(
            "hookmart_last_event_timestamp_seconds",
            "When an event was last accepted.",
            ["source"],
            registry=registry,
            multiprocess_mode="max",
        )
        self._secret_last_used = Gauge(
            "hookmart_secret_last_used_timestamp_seconds",
            "When a secret last verified a request.",
            ["source", "secret"],
            registry=registry,
            multiprocess_mode="max",
        )
        self._in_flight = Gauge(
            "hookmart_in_flight_bytes",
            "Bytes held for requests under way.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._dropped = Counter(
            "hookmart_refused_bodies_dropped", "Bodies of refused requests not kept.", registry=registry
        )
        self._unrecorded = Counter(
            "hookmart_refusals_unrecorded", "Refused requests that left no record.", registry=registry
        )
        collectors = (WorkersCollector(),) if self._is_shared else (PROCESS_COLLECTOR, GC_COLLECTOR)
        for collector in (*collectors, PLATFORM_COLLECTOR, self._stage):
            self._registry.register(collector)

        self._showing = Lock()
        self._tallies: dict[object, _Tally] = {}
        self._series: dict[tuple[str, str, str | None, int, str | None], _Series] = {}
        # A worker may get the process id of a dead one, and with it the file: what that one held is gone.
        self._in_flight.set(0)
        self._watched: list[tuple[_Tally, float, Callable[[], int]]] = []
        self.know(sources)

    def know(self, sources: Iterable[str]) -> None:
        """Add *sources*, after the configuration was read again; those known before stay, since a count never falls."""
        for source in sources:
            # An increase is seen from zero only: the first refusal would go unnoticed. A time has no such beginning.
            self._sources.add(source)
            self._requests.labels(source, "accepted", "", "200")
            for reason, status in REFUSALS.items():
                self._requests.labels(source, "refused" if status < 500 else "unavailable", reason, str(status))
            self._seconds.labels(source)
            self._body_bytes.labels(source)
            for outcome in STAGED:
                self._events.labels(source, outcome)

    def watch(
        self,
        *,
        in_flight_bytes: Callable[[], int] | None = None,
        refused_bodies_dropped: Callable[[], int] | None = None,
        refusals_unrecorded: Callable[[], int] | None = None,
    ) -> None:
        """Ask these for figures of this process that are kept elsewhere: each time it is scraped, and see `follow`."""
        for metric, read in (
            (self._in_flight, in_flight_bytes),
            (self._dropped, refused_bodies_dropped),
            (self._unrecorded, refusals_unrecorded),
        ):
            if read is not None:
                tally = self._tally(_value_of(metric))
                self._watched.append((tally, tally.number, read))

    async def follow(self) -> None:
        """Show other workers every second what is watched, until cancelled. A single process has none, and returns."""
        while self._is_shared:
            self._show()
            await asyncio.sleep(1.0)

    def answered(
        self,
        source: str,
        outcome: str,
        reason: str | None,
        status: int,
        seconds: float,
        body_bytes: int,
        events: int = 1,
        secret: str | None = None,
        now: float | None = None,
        quarantined_events: int = 0,
    ) -> None:
        """
        Count one request that has come to its end.

        Args:
            source: As the path names it.
            outcome: "accepted", "quarantined", "ignored", "refused", "unavailable" or "aborted".
            reason: One of our own words, see `REFUSALS` and `ContractViolation`; never a text of the sender's.
            status: Of the answer; 0 if there was none, as the client had left.
            seconds: From the first byte to the answer handed to the server; of no meaning for "aborted".
            body_bytes: As read, whole or not.
            events: Staged; counts for "accepted" and "quarantined" only.
            secret: Name of the one that verified it.
            now: Unix seconds; by default the clock's.
            quarantined_events: Those among *events* of an accepted delivery that went into quarantine.
        """
        try:
            series = self._series[source, outcome, reason, status, secret]
        except KeyError:
            series = self._series_of(source, outcome, reason, status, secret)
        bucket = series.buckets[bisect_left(BUCKETS, seconds)]
        series.requests.number += 1
        series.body_bytes.number += body_bytes
        if series.is_answered:
            bucket.number += 1
            series.seconds.number += seconds
        if series.staged is not None:
            staged, quarantined = series.staged
            staged.number += events - quarantined_events
            quarantined.number += quarantined_events
        if self._is_shared:
            series.show(bucket)
        if series.stamps:
            second = int(self._now() if now is None else now)
            # To the second is enough to see who has fallen silent, and spares most requests two writes.
            if second != series.second:
                series.second = second
                for stamp in series.stamps:
                    stamp.set(second)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """
        The answer to a scrape: its body and its content type. Reads files, so it may block.

        Args:
            accept: The request's `Accept`: OpenMetrics where it is named, else the plain text format.
        """
        self._show()
        # The library's own negotiation fails on a version that is no number.
        if "application/openmetrics-text" in accept:
            return openmetrics.generate_latest(self._registry), openmetrics.CONTENT_TYPE_LATEST  # type: ignore[no-untyped-call]
        return generate_latest(self._registry), CONTENT_TYPE_PLAIN_0_0_4

    def _show(self) -> None:
        # One thread at a time, or the older of two figures could be shown last.
        with self._showing:
            for tally, before, read in self._watched:
                tally.number = before + read()
                tally.show()
            if not self._is_shared:
                for tally in list(self._tallies.values()):
                    tally.show()

    def _series_of(self, source: str, outcome: str, reason: str | None, status: int, secret: str | None) -> "_Series":
        if source not in self._sources:
            source, secret = "", None
        key = (source, outcome, reason, status, secret)
        if key not in self._series:
            histogram = self._seconds.labels(source)
            stamps = []
            if outcome == "accepted":
                stamps.append(self._last_event.labels(source))
            if secret is not None:
                stamps.append(self._secret_last_used.labels(source, secret))
            self._series[key] = _Series(
                requests=self._tally(_value_of(self._requests.labels(source, outcome, reason or "", str(status)))),
                body_bytes=self._tally(_value_of(self._body_bytes.labels(source))),
                seconds=self._tally(histogram._sum),  # noqa: SLF001  # as in _value_of
                buckets=tuple(self._tally(each) for each in histogram._buckets),  # noqa: SLF001  # as in _value_of
                staged=(self._events_tally(source, outcome), self._events_tally(source, "quarantined"))
                if outcome in STAGED
                else None,
                is_answered=outcome != "aborted",
                stamps=tuple(stamps),
            )
        return self._series[key]

    def _events_tally(self, source: str, outcome: str) -> "_Tally":
        return self._tally(_value_of(self._events.labels(source, outcome)))

    def _tally(self, value: Any) -> "_Tally":
        if value not in self._tallies:
            self._tallies[value] = _Tally(value)
        return self._tallies[value]


class _Tally:
    """
    A plain number, and the library's value that shows it: when scraped, or to other workers at once.

    Only the event loop adds, so the number needs no lock. With the library's locks and checks, to count a request would
    take three times as long.
    """

    __slots__ = ("_show_as", "_shown", "number")

    def __init__(self, value: Any) -> None:
        self.number: float = value.get()
        self._shown = self.number
        self._show_as: Callable[[float], None] = value.set

    def show(self) -> None:
        # Read once: the event loop may add meanwhile.
        number = self.number
        if number != self._shown:
            self._show_as(number)
            self._shown = number


@dataclass(slots=True, kw_only=True)
class _Series:
    """
    Where requests of one kind are counted.

    Attributes:
        staged: Events of the outcome, and those quarantined; None where none are staged.
        second: Of the newest stamp.
    """

    requests: _Tally
    body_bytes: _Tally
    seconds: _Tally
    buckets: tuple[_Tally, ...]
    staged: tuple[_Tally, _Tally] | None
    is_answered: bool
    stamps: tuple[Gauge, ...]
    second: int = -1

    def show(self, bucket: _Tally) -> None:
        for tally in (self.requests, self.body_bytes, self.seconds, bucket, *(self.staged or ())):
            tally.show()


class _StageCollector(Collector):
    """What waits for the loader, at the time of the scrape."""

    def __init__(self, stage: Stage, now: Callable[[], float]) -> None:
        self._stage = stage
        self._now = now

    def collect(self) -> Iterator[Metric]:
        try:
            # In this order, since a segment that closes in between is in both lists rather than in none.
            live = {segment.batch_id: segment for segment in self._stage.live_segments()}
            closed = {segment.batch_id: segment for segment in self._stage.closed_segments()}
        except OSError as error:
            _logger.warning("The stage %s cannot be read (%s); its metrics are left out.", self._stage.root, error)
            return
        waiting = live | closed
        made = [moment for segment in waiting.values() if (moment := _made_at(segment)) is not None]
        yield GaugeMetricFamily(
            "hookmart_stage_oldest_segment_age_seconds",
            "Age of the oldest segment not yet loaded; 0 if none waits.",
            value=max(0.0, self._now() - min(made)) if made else 0.0,
        )
        yield GaugeMetricFamily(
            "hookmart_stage_waiting_bytes",
            "Bytes not yet loaded.",
            value=sum(segment.size for segment in waiting.values()),
        )
        segments = GaugeMetricFamily("hookmart_stage_segments", "Segments not yet loaded.", labels=["state"])
        segments.add_metric(["open"], len(live.keys() - closed.keys()))
        segments.add_metric(["closed"], len(closed))
        yield segments


def _value_of(metric: Counter | Gauge) -> Any:
    # Its public methods can neither set a counter nor tell what a file held before.
    return metric._value  # noqa: SLF001


def _made_at(segment: Segment) -> float | None:
    # Somebody may have put a file of another name into the stage.
    try:
        return segment.made_at.timestamp()
    except ValueError:
        return None
