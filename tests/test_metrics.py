"""What a scrape of one process says, against what it was told."""

import asyncio
import re
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics

from ingest.errors import REFUSALS
from ingest.metrics import BUCKETS, ReceiverMetrics
from ingest.segment_file import SegmentFile
from ingest.staging import Stage
from tests.scrape import Figures

ROOT = Path(__file__).parent.parent
NOW = 1_780_000_000.0


def scraped(metrics: ReceiverMetrics) -> Figures:
    """What *metrics* answers to a scrape."""
    return Figures(metrics.render()[0])


@pytest.fixture
def metrics(tmp_path: Path) -> ReceiverMetrics:
    return ReceiverMetrics(["acme", "zenith"], Stage(tmp_path), now=lambda: NOW)


class Request(NamedTuple):
    """What `answered` is told of one request."""

    source: str
    outcome: str
    reason: str | None
    status: int
    seconds: float
    body_bytes: int
    events: int
    secret: str | None


_REQUESTS = st.lists(
    st.builds(
        Request,
        source=st.sampled_from(["acme", "zenith"]),
        outcome=st.sampled_from(["accepted", "quarantined", "refused", "unavailable"]),
        reason=st.sampled_from([None, "contract", "bad_signature"]),
        status=st.sampled_from([200, 401, 503]),
        seconds=st.one_of(st.sampled_from(BUCKETS), st.floats(0, 20)),
        body_bytes=st.integers(0, 16 * 1024 * 1024),
        events=st.integers(0, 500),
        secret=st.sampled_from([None, "env:NEW", "env:OLD"]),
    ),
    max_size=30,
)


def summed(pairs: Iterable[tuple[tuple[str, ...], float]]) -> Mapping[tuple[str, ...], float]:
    """The sums by key, without those that are zero."""
    sums: Counter[tuple[str, ...]] = Counter()
    for key, amount in pairs:
        sums[key] += amount  # type: ignore[assignment]  # Counter adds floats as well
    return {key: amount for key, amount in sums.items() if amount}


@given(requests=_REQUESTS)
@settings(max_examples=60, deadline=None)
def test_a_scrape_says_what_was_told(requests: list[Request]) -> None:
    """Every sum, bucket and time in a scrape is that of the requests told before it."""
    with tempfile.TemporaryDirectory() as directory:
        metrics = ReceiverMetrics(["acme", "zenith"], Stage(Path(directory)))
        for number, request in enumerate(requests):
            metrics.answered(*request, now=NOW + number)
            if number % 7 == 0:
                metrics.render()  # a scrape in between changes nothing
        found = scraped(metrics)
    assert found.all("requests_total", "source", "outcome", "reason", "status") == summed(
        ((each.source, each.outcome, each.reason or "", str(each.status)), 1) for each in requests
    )
    assert found.all("body_bytes_total", "source") == summed(((each.source,), each.body_bytes) for each in requests)
    assert found.all("events_total", "source", "outcome") == summed(
        ((each.source, each.outcome), each.events) for each in requests if each.outcome in {"accepted", "quarantined"}
    )
    assert found.all("response_seconds_bucket", "source", "le") == summed(
        ((each.source, le), each.seconds <= float(le))
        for each in requests
        for le in [*(str(bound) for bound in BUCKETS), "+Inf"]
    )
    assert found.all("response_seconds_count", "source") == summed(((each.source,), 1) for each in requests)
    assert found.all("response_seconds_sum", "source") == pytest.approx(
        summed(((each.source,), each.seconds) for each in requests)
    )
    assert found.all("last_event_timestamp_seconds", "source") == {
        (each.source,): NOW + number for number, each in enumerate(requests) if each.outcome == "accepted"
    }
    assert found.all("secret_last_used_timestamp_seconds", "source", "secret") == {
        (each.source, each.secret): NOW + number for number, each in enumerate(requests) if each.secret
    }


def test_nothing_that_a_request_says_becomes_a_series(metrics: ReceiverMetrics) -> None:
    """Ten thousand made-up paths are one series, or a scanner could fill the memory of whoever scrapes."""
    metrics.answered("nobody", "refused", "unknown_source", 404, 0.001, 0)
    before = scraped(metrics).count()
    for number in range(10_000):
        metrics.answered(f"nobody-{number}", "refused", "unknown_source", 404, 0.001, 0, secret=f"env:{number}")
    found = scraped(metrics)
    assert found.count() == before
    assert found("requests_total", source="", outcome="refused", reason="unknown_source", status="404") == 10_001
    assert len(metrics._series) == 1


def test_a_source_that_has_sent_nothing_shows_zeros_and_no_time(metrics: ReceiverMetrics) -> None:
    """An increase is seen from zero only, so that the first refusal alarms; a time of zero would say 1970."""
    found = scraped(metrics)
    for source in ("acme", "zenith"):
        assert found("requests_total", source=source, outcome="accepted", reason="", status="200") == 0
        for reason, status in REFUSALS.items():
            outcome = "unavailable" if status == 503 else "refused"
            assert found("requests_total", source=source, outcome=outcome, reason=reason, status=str(status)) == 0
        assert found("events_total", source=source, outcome="accepted") == 0
        assert found("events_total", source=source, outcome="quarantined") == 0
        assert found("body_bytes_total", source=source) == 0
        assert found("response_seconds_count", source=source) == 0
        assert found("last_event_timestamp_seconds", source=source) is None


def test_a_time_is_given_to_the_second_by_the_clock(metrics: ReceiverMetrics) -> None:
    """The gauges hold the second of the last event, whether the caller or the clock says when that was."""
    metrics.answered("acme", "accepted", None, 200, 0.001, 10, secret="env:A")
    metrics.answered("zenith", "accepted", None, 200, 0.001, 10, now=NOW + 7.9)
    metrics.answered("zenith", "quarantined", "contract", 200, 0.001, 10, secret="env:Z", now=NOW + 60.0)
    found = scraped(metrics)
    assert found("last_event_timestamp_seconds", source="acme") == NOW
    assert found("last_event_timestamp_seconds", source="zenith") == NOW + 7
    assert found("secret_last_used_timestamp_seconds", source="zenith", secret="env:Z") == NOW + 60


def test_a_client_that_leaves_is_counted_without_a_response_time(metrics: ReceiverMetrics) -> None:
    """What was never answered took no time to answer, but its bytes were read."""
    metrics.answered("acme", "aborted", None, 0, 30.0, 4096)
    found = scraped(metrics)
    assert found("requests_total", source="acme", outcome="aborted", reason="", status="0") == 1
    assert found("body_bytes_total", source="acme") == 4096
    assert found("response_seconds_count", source="acme") == 0


def test_a_delivery_of_several_events_is_one_request(metrics: ReceiverMetrics) -> None:
    """An array counts once as a request, and each of its events under what became of it."""
    metrics.answered("acme", "accepted", None, 200, 0.001, 10, 5, quarantined_events=2)
    metrics.answered("acme", "quarantined", "malformed_json", 200, 0.001, 10)
    found = scraped(metrics)
    assert found.all("requests_total", "outcome") == {("accepted",): 1, ("quarantined",): 1}
    assert found.all("events_total", "outcome") == {("accepted",): 3, ("quarantined",): 3}


def test_what_is_kept_elsewhere_is_asked_for_when_scraped(metrics: ReceiverMetrics) -> None:
    """Bytes in flight and losses are those of the moment; until somebody is watched they are zero."""
    elsewhere = {"held": 0, "dropped": 0, "unrecorded": 0}
    assert scraped(metrics)("in_flight_bytes") == 0
    metrics.watch(
        in_flight_bytes=lambda: elsewhere["held"],
        refused_bodies_dropped=lambda: elsewhere["dropped"],
        refusals_unrecorded=lambda: elsewhere["unrecorded"],
    )
    for held, dropped, unrecorded in ((500, 0, 0), (0, 3, 0), (200, 4, 1)):
        elsewhere.update(held=held, dropped=dropped, unrecorded=unrecorded)
        found = scraped(metrics)
        assert found("in_flight_bytes") == held
        assert found("refused_bodies_dropped_total") == dropped
        assert found("refusals_unrecorded_total") == unrecorded


def test_a_single_process_has_nobody_to_keep_informed(metrics: ReceiverMetrics) -> None:
    """`follow` ends at once where no other worker could be scraped."""
    asyncio.run(metrics.follow())


def test_sources_that_are_configured_later_get_a_name_and_old_ones_keep_theirs(metrics: ReceiverMetrics) -> None:
    """After the configuration was read again, a new source counts as itself, and no counter vanishes."""
    metrics.answered("newcomer", "accepted", None, 200, 0.001, 10)
    metrics.know(["newcomer"])
    assert scraped(metrics)("requests_total", source="newcomer", outcome="accepted", reason="", status="200") == 0
    metrics.answered("newcomer", "accepted", None, 200, 0.001, 10)
    metrics.answered("acme", "accepted", None, 200, 0.001, 10)
    assert scraped(metrics).all("body_bytes_total", "source") == {("",): 10, ("newcomer",): 10, ("acme",): 10}


def test_a_scrape_beside_the_counting_loses_nothing(metrics: ReceiverMetrics) -> None:
    """A scrape runs in a thread of its own: figures never fall, and in the end all is there."""
    is_over = threading.Event()
    seen: tuple[list[float], list[float]] = ([], [])

    def scrape(figures: list[float]) -> None:
        while not is_over.is_set():
            figures.append(scraped(metrics)("body_bytes_total", source="acme") or 0.0)

    threads = [threading.Thread(target=scrape, args=(figures,)) for figures in seen]
    for thread in threads:
        thread.start()
    for number in range(20_000):
        metrics.answered("acme", "refused", f"reason_{number % 50}", 401, 0.001, 3)
    is_over.set()
    for thread in threads:
        thread.join()
    for figures in seen:
        assert figures == sorted(figures)
    assert scraped(metrics)("body_bytes_total", source="acme") == 60_000
    assert scraped(metrics)("response_seconds_count", source="acme") == 20_000


def test_two_receivers_in_one_process_do_not_mix(tmp_path: Path) -> None:
    """Each has a registry of its own, and neither uses the one of the whole process."""
    one, other = (ReceiverMetrics(["acme"], Stage(tmp_path)) for _ in range(2))
    one.answered("acme", "accepted", None, 200, 0.001, 10)
    assert scraped(one)("body_bytes_total", source="acme") == 10
    assert scraped(other)("body_bytes_total", source="acme") == 0


def test_the_stage_is_looked_at_when_scraped(tmp_path: Path) -> None:
    """Age, bytes and segments are those that wait at this moment, open and closed alike."""
    moment = [0.0]
    root = tmp_path / "stage"
    metrics = ReceiverMetrics(["acme"], Stage(root), now=lambda: moment[0])
    found = scraped(metrics)
    assert found("stage_oldest_segment_age_seconds") == 0
    assert found("stage_waiting_bytes") == 0
    assert found.all("stage_segments", "state") == {}

    older, newer = SegmentFile.create(root), SegmentFile.create(root)
    older.append(b"{}\n" * 10)
    newer.append(b"{}\n")
    older.close()
    made = int(older.path.name[:12], 16) / 1000
    moment[0] = made + 90.0
    found = scraped(metrics)
    assert found("stage_oldest_segment_age_seconds") == pytest.approx(90.0)
    assert found("stage_waiting_bytes") == 33
    assert found.all("stage_segments", "state") == {("open",): 1, ("closed",): 1}

    newer.close()
    stage = Stage(root)
    stage.release(stage.closed_segments()[0], tmp_path / "archive")
    found = scraped(metrics)
    assert found("stage_waiting_bytes") == 3
    assert found.all("stage_segments", "state") == {("closed",): 1}
    moment[0] = made - 3600.0
    assert scraped(metrics)("stage_oldest_segment_age_seconds") == 0, "a clock set back makes no negative age"


def test_a_stage_in_disorder_does_not_stop_a_scrape(tmp_path: Path, metrics: ReceiverMetrics) -> None:
    """A file of a foreign name has no age; a stage that cannot be read leaves all other figures in place."""
    (tmp_path / "not-one-of-ours.jsonl").write_bytes(b"{}\n")
    found = scraped(metrics)
    assert found("stage_oldest_segment_age_seconds") == 0
    assert found("stage_waiting_bytes") == 3

    no_directory = tmp_path / "file"
    no_directory.touch()
    found = scraped(ReceiverMetrics(["acme"], Stage(no_directory)))
    assert found("stage_waiting_bytes") is None
    assert found("body_bytes_total", source="acme") == 0


@pytest.mark.parametrize(
    "accept",
    [
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.4,*/*;q=0.1",
        "application/openmetrics-text",
        "application/openmetrics-text; version=garbage",
    ],
)
def test_openmetrics_is_given_to_whoever_names_it(metrics: ReceiverMetrics, accept: str) -> None:
    """The same figures in the newer format, which its own parser takes."""
    metrics.answered("acme", "accepted", None, 200, 0.001, 10)
    body, content_type = metrics.render(accept)
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    samples = {
        (sample.name, sample.labels.get("source")): sample.value
        for family in read_openmetrics(body.decode())  # type: ignore[no-untyped-call]
        for sample in family.samples
    }
    assert samples["hookmart_body_bytes_total", "acme"] == 10
    assert samples["hookmart_last_event_timestamp_seconds", "acme"] == NOW


@pytest.mark.parametrize("accept", ["", "*/*", "text/html,*/*;q=0.8", "text/plain;version=nonsense"])
def test_anyone_else_gets_plain_text(metrics: ReceiverMetrics, accept: str) -> None:
    """A browser or curl reads the text format, whatever it says it accepts."""
    body, content_type = metrics.render(accept)
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert Figures(body)("in_flight_bytes") == 0


def test_a_single_process_tells_of_itself(metrics: ReceiverMetrics) -> None:
    """Memory, processor time and open files come from the library."""
    assert {"process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds", "python_info"} <= set(
        scraped(metrics).metrics
    )


def test_every_metric_is_documented(metrics: ReceiverMetrics) -> None:
    """The table names each metric of ours with its type and labels, and none that is not there."""
    for source in ("acme", "nobody"):
        metrics.answered(source, "accepted", None, 200, 0.001, 1, secret="env:A")
    text = (ROOT / "docs" / "http.md").read_text(encoding="utf-8").partition("\n## Metrics\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(hookmart_\w+)(?:\{([\w,]+)\})?` \| (\w+) \|", text, re.MULTILINE)
    documented = {name: (kind, set(filter(None, labels.split(",")))) for name, labels, kind in rows}
    assert documented == {name: told for name, told in scraped(metrics).metrics.items() if name.startswith("hookmart_")}
