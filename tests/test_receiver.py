"""The receiver's answers, and what it leaves in the stage, over real HTTP against a real process."""

import base64
import hashlib
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from ingest.errors import REFUSALS
from tests.asgi_receiver import Ask, ask
from tests.raw_http import Connection, request_head
from tests.running_receiver import CONFIGURATION, EVENT_FILES, RunningReceiver, signature, staged_lines

EVENT = EVENT_FILES[2].read_bytes()
HOST = "http://receiver.test/webhooks"
GZIP, BROKEN = {"Content-Encoding": "gzip"}, {"Content-Encoding": "br"}
FENCE = 'allow_ips = ["192.0.2.0/24"]\n'
LIMITED = CONFIGURATION + "max_body_bytes = 20000\n\n[receiver]\nbody_seconds = 0.3\n"


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[RunningReceiver]:
    with RunningReceiver(tmp_path, LIMITED) as running:
        yield running


def test_every_event_of_the_contract_is_accepted_and_staged_as_sent(receiver: RunningReceiver) -> None:
    """Each fixture is answered with its own id, and its line decodes to the very bytes that were sent."""
    for file in EVENT_FILES:
        body = file.read_bytes()
        answer = receiver.post(body)
        assert (answer.status_code, answer.json()) == (
            200,
            {"status": "accepted", "event_id": orjson.loads(body)["id"]},
        )
    lines = receiver.staged_after_stop()
    assert [line.payload for line in lines] == [file.read_text(encoding="utf-8") for file in EVENT_FILES]
    for line, file in zip(lines, EVENT_FILES, strict=True):
        sent = orjson.loads(file.read_bytes())
        assert (line.event_id, line.event_type, line.schema_version) == (
            sent["id"],
            sent["type"],
            sent["schema_version"],
        )
        assert line.is_delivery
        assert (line.outcome, line.status_code, line.reason) == ("accepted", 200, None)
        assert line.has_synthetic_id is False
        assert line.secret_name == "env:ACME_SECRET"
        assert line.body_sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
        assert line.body_bytes == file.stat().st_size
        assert line.response_ms >= 0
        assert datetime.fromisoformat(line.received_at).tzinfo == UTC
        assert line.occurred_at is not None
        assert datetime.fromisoformat(line.occurred_at) == datetime.fromisoformat(sent["timestamp"])
    assert len({line.delivery_id for line in lines}) == len(lines)


def test_a_genuine_body_that_is_no_known_event_is_quarantined_as_sent(receiver: RunningReceiver) -> None:
    """Nothing that was signed is lost: it is answered with 200 and staged with its bytes and its reason."""
    event = orjson.loads(EVENT)
    cases: list[tuple[bytes, str, str | None]] = [
        (b"{not json", "malformed_json", None),
        (b"", "malformed_json", None),
        (b"\xff\xfe\x00", "malformed_json", None),
        (b'{"id": "a\x00b"}', "malformed_json", None),
        (b"[1, 2]", "not_an_object", None),
        (orjson.dumps(event | {"type": "click.imagined"}), "unknown_type", event["id"]),
        (orjson.dumps(event | {"schema_version": "9.0"}), "unknown_version", event["id"]),
        (orjson.dumps(event | {"data": {}}), "contract", event["id"]),
    ]
    for body, _, event_id in cases:
        answer = receiver.post(body)
        assert (answer.status_code, answer.json()) == (200, {"status": "quarantined", "event_id": event_id})
    lines = receiver.staged_after_stop()
    for line, (body, reason, event_id) in zip(lines, cases, strict=True):
        kept = base64.b64decode(line.payload_base64) if line.payload_base64 else (line.payload or "").encode()
        assert (line.outcome, line.reason, line.event_id, kept) == ("quarantined", reason, event_id, body)
        assert line.detail
        assert (line.payload is None) != (line.payload_base64 is None)


def test_an_event_without_an_id_is_accepted_under_the_hash_of_its_body(receiver: RunningReceiver) -> None:
    """A sender that names no id gets the same made-up one on every retry."""
    event = orjson.loads(EVENT)
    del event["id"]
    body = orjson.dumps(event)
    expected = f"sha256:{hashlib.sha256(body).hexdigest()}"
    assert [receiver.post(body).json()["event_id"] for _ in range(2)] == [expected, expected]
    assert {line.has_synthetic_id for line in receiver.staged_after_stop()} == {True}


def test_what_is_not_proven_genuine_leaves_a_record_and_neither_event_nor_body(receiver: RunningReceiver) -> None:
    """The sender learns the status only; the stage keeps the reason."""
    good = signature(EVENT)
    refused = [
        (receiver.post(EVENT, {}), "missing_signature"),
        (receiver.post(EVENT, signature(EVENT, "f" * 32)), "bad_signature"),
        (receiver.post(EVENT + b" ", good), "bad_signature"),
        (
            receiver.client.post("/webhooks/acme", content=EVENT, headers=[(b"X-Webhook-Signature", b"\xff\xc2")]),
            "bad_signature",
        ),
        (
            receiver.client.post("/webhooks/acme", content=EVENT, headers=[*good.items(), *good.items()]),
            "repeated_signature",
        ),
    ]
    for answer, _ in refused:
        assert (answer.status_code, answer.content) == (401, b'{"status":"refused"}')
    lines = receiver.staged_after_stop()
    assert [(line.status_code, line.reason) for line in lines] == [(401, reason) for _, reason in refused]
    assert {(line.outcome, line.source_id) for line in lines} == {("refused", "acme")}
    assert {(line.event_id, line.payload, line.payload_base64) for line in lines} == {(None, None, None)}
    assert len({line.delivery_id for line in lines}) == len(lines)


def test_a_path_that_names_no_source_is_not_found_and_recorded_without_its_name(receiver: RunningReceiver) -> None:
    """Whoever guesses a path gets 404, whatever the method; nothing is silent, and nothing he wrote is kept."""
    for path in ("nobody", "acme/", "acme/more", "ACME", "", "%2e%2e", "acme%00"):
        assert receiver.client.post(f"/webhooks/{path}", content=EVENT, headers=signature(EVENT)).status_code == 404
        assert receiver.client.get(f"/webhooks/{path}").status_code == 404
    for path in ("/", "/webhooks", "/webhook/acme"):
        assert receiver.client.post(path, content=EVENT).status_code == 404, "no path of webhooks: not even counted"
    lines = receiver.staged_after_stop()
    assert {(line.source_id, line.status_code, line.reason, line.body_bytes) for line in lines} == {
        ("-", 404, "unknown_source", 0)
    }
    assert len(lines) == 14
    assert b"nobody" not in b"".join(segment.path.read_bytes() for segment in receiver.stage.closed_segments())


def test_what_is_refused_before_the_body_is_answered_before_the_body(tmp_path: Path) -> None:
    """A sender that asks whether it may go on is told at once that it may not."""
    with RunningReceiver(tmp_path, CONFIGURATION + FENCE) as receiver:
        for path, method, status_code in (("acme", "POST", 403), ("nobody", "POST", 404), ("acme", "PUT", 405)):
            with Connection(receiver.url) as connection:
                headers = [("Content-Length", "1000000"), ("Expect", "100-continue")]
                connection.send(request_head(f"/webhooks/{path}", headers, method=method))
                assert connection.answer().status_code == status_code


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (Ask(b"x" * 30_000, url=f"{HOST}/nobody", method="PUT", headers=BROKEN), "unknown_source"),
        (Ask(b"x" * 30_000, url=f"{HOST}/fenced", method="PUT", headers=BROKEN), "wrong_method"),
        (Ask(b"x" * 30_000, url=f"{HOST}/fenced", headers=BROKEN), "address_not_allowed"),
        (Ask(b"x" * 30_000, url=f"{HOST}/acme", headers=BROKEN), "body_too_large"),
        (Ask(b"x", url=f"{HOST}/acme", headers=BROKEN), "unknown_content_encoding"),
        (Ask(b"x", url=f"{HOST}/acme", headers=GZIP), "missing_signature"),
        (Ask(b"x", url=f"{HOST}/acme", headers=GZIP | signature(b"y")), "bad_signature"),
        (Ask(b"x", url=f"{HOST}/acme", headers=GZIP | signature(b"x")), "broken_compression"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_first_of_several_faults_is_the_one_that_counts(tmp_path: Path, asked: Ask, reason: str) -> None:
    """Source, method, address, size, encoding, signature, and only then what is in the body."""
    configuration = LIMITED + CONFIGURATION.partition("[sources.acme]")[2].join(["[sources.fenced]", FENCE])
    [answer], [line] = ask(tmp_path, configuration, [asked])
    assert (line.reason, line.status_code, answer.status_code) == (reason, REFUSALS[reason], REFUSALS[reason])


def test_a_body_over_the_limit_that_is_streamed_gets_its_answer(receiver: RunningReceiver) -> None:
    """A sender without Content-Length that writes on past the limit reads 413, not a reset connection."""

    def endless() -> Iterator[bytes]:
        for _ in range(40):
            yield b"x" * 65_536

    assert receiver.client.post("/webhooks/acme", content=endless()).status_code == 413
    assert receiver.post(EVENT).status_code == 200


def test_a_sender_that_is_to_be_hung_up_on_can_finish_what_it_says_first(receiver: RunningReceiver) -> None:
    """A connection closed in mid-body is reset, and the answer with it; so a bounded rest is read before."""
    headers = [("Content-Length", "2600000"), ("Connection", "close")]
    with Connection(receiver.url) as connection:
        connection.send(request_head("/webhooks/acme", headers), bytes(30_000), bytes(2_570_000))
        assert connection.answer().status_code == 413
        assert connection.is_closed()


def test_a_sender_that_leaves_in_mid_body_leaves_nothing(receiver: RunningReceiver) -> None:
    """Half a request is no delivery: nothing is staged, and the next sender is served."""
    host, port = receiver.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"POST /webhooks/acme HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
    assert receiver.post(EVENT).status_code == 200
    assert len(receiver.staged_after_stop()) == 1


def test_a_segment_closes_by_its_age_without_further_traffic(receiver: RunningReceiver) -> None:
    """The loader gets the last delivery of a quiet hour as soon as any other."""
    receiver.post(EVENT)
    while not receiver.stage.closed_segments():
        assert receiver.process.poll() is None
    assert [line.outcome for line in staged_lines(receiver.stage.closed_segments())] == ["accepted"]


def test_a_body_that_trickles_in_is_given_up_in_the_end(receiver: RunningReceiver) -> None:
    """A sender that opens a request and stops writing does not hold it for ever, and may come again."""
    with Connection(receiver.url) as connection:
        connection.send(request_head("/webhooks/acme", [("Content-Length", "1000")]), b"{")
        answer = connection.answer()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert receiver.post(EVENT).status_code == 200
    assert [(line.status_code, line.reason) for line in receiver.staged_after_stop()] == [
        (503, "body_too_slow"),
        (200, None),
    ]


def test_the_clock_is_an_argument(tmp_path: Path) -> None:
    """A delivery signed at one time is accepted by a receiver whose clock says so, whenever the test runs."""
    configuration = '[sources.acme]\nscheme = "stripe"\nsecrets = ["env:ACME_SECRET"]\n'
    now = datetime.fromtimestamp(1_780_480_800, UTC)
    asks = []
    for age, tampered in ((0, 0), (300, 0), (-300, 0), (301, 0), (-301, 0), (0, 1)):
        time = 1_780_480_800 - age
        digest = signature(f"{time + tampered}.".encode() + EVENT)["X-Webhook-Signature"]
        asks.append(Ask(EVENT, {"Stripe-Signature": f"t={time},v1={digest}"}))
    answers, lines = ask(tmp_path, configuration, asks, now=now)
    assert [answer.status_code for answer in answers] == [200, 200, 200, 401, 401, 401]
    assert [line.reason for line in lines] == [None] * 3 + ["timestamp_out_of_tolerance"] * 2 + ["bad_signature"]
    assert {line.received_at for line in lines} == {"2026-06-03T10:00:00.000000Z"}


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificate with openssl")
def test_tls_is_served_without_a_proxy(tmp_path: Path) -> None:
    """With a certificate the receiver speaks TLS 1.2 or later by itself."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    with RunningReceiver(tmp_path, tls=(certificate, key)) as receiver:
        assert receiver.url.startswith("https://")
        assert receiver.post(EVENT).status_code == 200
        host, port = receiver.url.removeprefix("https://").split(":")
        context = ssl.create_default_context(cafile=str(certificate))
        with (
            socket.create_connection((host, int(port))) as plain,
            context.wrap_socket(plain, server_hostname=host) as tls,
        ):
            assert tls.version() in {"TLSv1.2", "TLSv1.3"}
