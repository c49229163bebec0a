"""Nothing is refused in silence: every reason stands in the record and in the metrics."""

import gzip
import resource
from collections import Counter
from collections.abc import Callable, Iterator

import orjson
import pytest

from ingest.errors import REFUSALS
from tests.raw_http import Connection, request_head
from tests.running_receiver import CONFIGURATION, EVENT_FILES, RunningReceiver, signature, until

EVENT = EVENT_FILES[2].read_bytes()
STRIPE = "Stripe-Signature"
SOURCES = (
    CONFIGURATION
    + """
max_body_bytes = 20000

[receiver]
body_seconds = 0.3
in_flight_high_bytes = 100000

[sources.roomy]
scheme = "hmac-sha256-hex"
secrets = ["env:ACME_SECRET"]
max_body_bytes = 200000

[sources.fenced]
scheme = "hmac-sha256-hex"
secrets = ["env:ACME_SECRET"]
allow_ips = ["192.0.2.0/24"]

[sources.clocked]
scheme = "stripe"
secrets = ["env:ACME_SECRET"]

[sources.late]
scheme = "hmac-sha256-hex"
secrets = ["file:not-there"]

[sources.batches]
scheme = "hmac-sha256-hex"
secrets = ["env:ACME_SECRET"]
arrays = true
"""
)
Request = Callable[[RunningReceiver], int]
"""Posts something, and returns the status of the answer."""


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningReceiver]:
    with RunningReceiver(tmp_path_factory.mktemp("receiver"), SOURCES) as running:
        yield running


def posting(body: bytes = EVENT, headers: dict[str, str] | None = None, source: str = "acme") -> Request:
    """A request that is whole."""
    return lambda receiver: receiver.post(body, headers, source=source).status_code


def too_slow(receiver: RunningReceiver) -> int:
    """A request that never comes to its end."""
    with Connection(receiver.url) as connection:
        connection.send(request_head("/webhooks/acme", [("Content-Length", "100")]), b"{")
        return connection.answer().status_code


def while_the_disk_fails(receiver: RunningReceiver) -> int:
    """A good request at a bad time."""
    unlimited = resource.RLIM_INFINITY
    resource.prlimit(receiver.process.pid, resource.RLIMIT_FSIZE, (0, unlimited))
    try:
        return receiver.post(EVENT).status_code
    finally:
        resource.prlimit(receiver.process.pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))
        assert receiver.post(EVENT).status_code == 200  # with which the record is written


def timed(time: str) -> dict[str, str]:
    """The header of a scheme that signs *time*."""
    return {STRIPE: f"t={time},v1={signature(time.encode() + b'.' + EVENT)['X-Webhook-Signature']}"}


CUT = gzip.compress(EVENT)[:-1]
CASES: dict[str, tuple[str, Request]] = {
    "unknown_source": ("-", posting(source="nobody")),
    "wrong_method": ("acme", lambda receiver: receiver.client.put("/webhooks/acme").status_code),
    "address_not_allowed": ("fenced", posting(source="fenced")),
    "too_much_in_flight": ("roomy", posting(bytes(150_000), source="roomy")),
    "body_too_large": ("acme", posting(bytes(20_001))),
    "body_too_slow": ("acme", too_slow),
    "unknown_content_encoding": ("acme", posting(EVENT, {"Content-Encoding": "br"})),
    "missing_signature": ("acme", posting(EVENT, {})),
    "repeated_signature": (
        "acme",
        lambda receiver: (
            receiver.client.post(
                "/webhooks/acme", content=EVENT, headers=[*signature(EVENT).items(), *signature(EVENT).items()]
            ).status_code
        ),
    ),
    "garbled_signature": ("clocked", posting(EVENT, {STRIPE: "t=1780480800,v2=00"}, "clocked")),
    "bad_signature": ("acme", posting(EVENT, signature(EVENT, "f" * 32))),
    "missing_timestamp": ("clocked", posting(EVENT, {STRIPE: "v1=00"}, "clocked")),
    "garbled_timestamp": ("clocked", posting(EVENT, {STRIPE: "t=now,v1=00"}, "clocked")),
    "timestamp_out_of_tolerance": ("clocked", posting(EVENT, timed("1000000000"), "clocked")),
    "secret_unreadable": ("late", posting(source="late")),
    "broken_compression": ("acme", posting(CUT, {"Content-Encoding": "gzip", **signature(CUT)})),
    "not_staged": ("acme", while_the_disk_fails),
}


def test_no_reason_is_missing_here() -> None:
    """Whoever adds a reason to refuse shows here how it comes about."""
    assert set(CASES) == set(REFUSALS)


@pytest.mark.parametrize("reason", list(CASES))
def test_every_refusal_is_recorded_and_counted(receiver: RunningReceiver, reason: str) -> None:
    """Under its source, with its status and reason, in a line for `raw.deliveries` and in the metrics."""
    source, send = CASES[reason]
    status_code = REFUSALS[reason]
    labels = {
        "source": "" if source == "-" else source,
        "outcome": "unavailable" if status_code >= 500 else "refused",
        "reason": reason,
        "status": str(status_code),
    }
    before = len(receiver.staged())
    counted = receiver.figures()("requests_total", **labels) or 0
    assert send(receiver) == status_code
    assert receiver.figures()("requests_total", **labels) == counted + 1
    until(lambda: any(line.outcome == "refused" for line in receiver.staged()[before:]))
    [line] = [line for line in receiver.staged()[before:] if line.outcome == "refused"]
    assert (line.source_id, line.status_code, line.reason, line.is_delivery) == (source, status_code, reason, True)
    assert (line.event_id, line.payload, line.payload_base64, line.secret_name) == (None, None, None, None)


def test_every_answer_is_counted_with_its_bytes_and_its_events(receiver: RunningReceiver) -> None:
    """Requests, events, bytes and the secret that was used, for single events and for arrays."""
    unknown = orjson.dumps(orjson.loads(EVENT) | {"type": "click.imagined"})
    before = receiver.figures()
    bodies = [EVENT, unknown, b"[" + EVENT + b"," + unknown + b"," + EVENT + b"]", b"[" + unknown + b", 1]"]
    assert [receiver.post(body, source="batches").status_code for body in bodies] == [200] * 4
    after = receiver.figures()

    def more(name: str, **labels: str) -> float:
        return (after(name, source="batches", **labels) or 0) - (before(name, source="batches", **labels) or 0)

    assert more("requests_total", outcome="accepted", reason="", status="200") == 2
    assert more("requests_total", outcome="quarantined", reason="unknown_type", status="200") == 2
    assert more("events_total", outcome="accepted") == 3
    assert more("events_total", outcome="quarantined") == 4
    assert more("body_bytes_total") == sum(len(body) for body in bodies)
    assert more("response_seconds_count") == 4
    assert after("secret_last_used_timestamp_seconds", source="batches", secret="env:ACME_SECRET")
    assert after("in_flight_bytes") == 0
    staged = Counter((line.outcome, line.is_delivery) for line in receiver.staged() if line.source_id == "batches")
    assert staged == {
        ("accepted", True): 2,
        ("accepted", False): 1,
        ("quarantined", True): 2,
        ("quarantined", False): 2,
    }
