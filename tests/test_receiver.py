"""The receiver's answers, and what it leaves in the stage, over real HTTP against a real process."""

import asyncio
import base64
import gzip
import hashlib
import resource
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator, MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from ingest.app import create_app
from ingest.receiver import Receiver, Source
from ingest.settings import SourceSettings, load_settings
from ingest.sources import Secret
from tests.running_receiver import CONFIGURATION, EVENT_FILES, SECRET, RunningReceiver, signature, staged_lines

EVENT = EVENT_FILES[2].read_bytes()
RESTRICTED = (
    CONFIGURATION
    + """
max_body_bytes = 20000

[sources.fenced]
scheme = "hmac-sha256-hex"
secrets = ["env:ACME_SECRET"]
allow_ips = ["192.0.2.0/24"]

[sources.clocked]
scheme = "stripe"
secrets = ["env:ACME_SECRET"]
"""
)


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[RunningReceiver]:
    """One receiver, with a fenced and a clocked source beside the plain one."""
    with RunningReceiver(tmp_path, RESTRICTED) as running:
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


def test_what_is_not_proven_genuine_is_refused_without_a_reason_and_recorded_with_one(
    receiver: RunningReceiver,
) -> None:
    """The sender learns the status only; the stage keeps the reason, and neither an event nor the body."""
    good = signature(EVENT)
    refused = [
        (receiver.post(EVENT, {}), 401, "missing_signature"),
        (receiver.post(EVENT, signature(EVENT, "f" * 32)), 401, "bad_signature"),
        (receiver.post(EVENT + b" ", good), 401, "bad_signature"),
        (
            receiver.client.post("/webhooks/acme", content=EVENT, headers=[(b"X-Webhook-Signature", b"\xff\xc2")]),
            401,
            "bad_signature",
        ),
        (
            receiver.client.post("/webhooks/acme", content=EVENT, headers=[*good.items(), *good.items()]),
            401,
            "repeated_signature",
        ),
        (receiver.post(EVENT, {"Stripe-Signature": "t=1,v1=00"}, source="clocked"), 401, "bad_signature"),
        (receiver.post(EVENT, {"Stripe-Signature": "v1=00"}, source="clocked"), 401, "missing_timestamp"),
        (receiver.post(EVENT, source="fenced"), 403, "address_not_allowed"),
        (receiver.post(b"x" * 20_001), 413, "body_too_large"),
        (receiver.post(gzip.compress(EVENT), {"Content-Encoding": "gzip"}), 415, "unknown_content_encoding"),
        (receiver.client.get("/webhooks/acme"), 405, "wrong_method"),
    ]
    for answer, status_code, _ in refused:
        assert (answer.status_code, answer.content) == (status_code, b'{"status":"refused"}')
    assert refused[-1][0].headers["allow"] == "POST"
    lines = receiver.staged_after_stop()
    assert [(line.status_code, line.reason) for line in lines] == [(status, reason) for _, status, reason in refused]
    assert {line.outcome for line in lines} == {"refused"}
    assert {(line.event_id, line.payload, line.payload_base64) for line in lines} == {(None, None, None)}


def test_a_path_that_names_no_source_is_not_found_and_leaves_nothing(receiver: RunningReceiver) -> None:
    """Whoever guesses a path gets 404, whatever the method, and cannot fill the disk."""
    assert receiver.post(EVENT, source="nobody").status_code == 404
    assert receiver.post(EVENT, source="acme/").status_code == 404
    assert receiver.client.get("/webhooks/").status_code == 404
    assert receiver.client.get("/").status_code == 404
    assert receiver.staged_after_stop() == []


def test_a_body_over_the_limit_that_is_streamed_gets_its_answer(receiver: RunningReceiver) -> None:
    """A sender without Content-Length that writes on past the limit reads 413, not a reset connection."""

    def endless() -> Iterator[bytes]:
        for _ in range(40):
            yield b"x" * 65_536

    assert receiver.client.post("/webhooks/acme", content=endless()).status_code == 413
    assert receiver.post(EVENT).status_code == 200


def test_a_sender_that_leaves_in_mid_body_leaves_nothing(receiver: RunningReceiver) -> None:
    """Half a request is no delivery: nothing is staged, and the next sender is served."""
    host, port = receiver.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"POST /webhooks/acme HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
    assert receiver.post(EVENT).status_code == 200
    assert len(receiver.staged_after_stop()) == 1


def test_a_stage_that_cannot_be_written_is_ours_and_passes(receiver: RunningReceiver) -> None:
    """While the disk takes nothing the sender is asked to retry, nothing is left behind, and then all is well again."""
    assert receiver.client.get("/readyz").status_code == 200
    resource.prlimit(receiver.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    for _ in range(5):
        answer = receiver.post(EVENT)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert receiver.post(EVENT, {}).status_code == 401, "a refusal does not depend on the disk"
    assert receiver.client.get("/readyz").status_code == 503
    assert receiver.client.get("/healthz").status_code == 200
    resource.prlimit(receiver.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert receiver.post(EVENT).status_code == 200
    assert receiver.client.get("/readyz").status_code == 200
    assert [line.status_code for line in receiver.staged_after_stop() if line.outcome != "refused"] == [200]
    assert {path.suffix for path in receiver.stage.root.iterdir()} == {".jsonl"}


def test_a_segment_at_the_limit_of_a_files_size_does_not_stop_the_receiver(receiver: RunningReceiver) -> None:
    """What no longer fits into one file fits into the next."""
    resource.prlimit(receiver.process.pid, resource.RLIMIT_FSIZE, (len(EVENT) * 3, resource.RLIM_INFINITY))
    answers = [receiver.post(EVENT).status_code for _ in range(12)]
    assert set(answers) == {200, 503}
    assert "503, 503" not in str(answers)
    assert len(receiver.staged_after_stop()) == answers.count(200)


def test_a_receiver_starts_and_stays_alive_without_its_stage(tmp_path: Path) -> None:
    """A disk that is not there at start means 503 until it is, not a receiver that must be restarted."""
    (tmp_path / "var").write_text("in the way")
    with RunningReceiver(tmp_path) as receiver:
        assert receiver.client.get("/readyz").status_code == 503
        assert receiver.post(EVENT).status_code == 503
        (tmp_path / "var").unlink()
        assert receiver.post(EVENT).status_code == 200
        assert len(receiver.staged_after_stop()) == 1


def test_a_segment_closes_by_its_age_without_further_traffic(receiver: RunningReceiver) -> None:
    """The loader gets the last delivery of a quiet hour as soon as any other."""
    receiver.post(EVENT)
    while not receiver.stage.closed_segments():
        assert receiver.process.poll() is None
    assert [line.outcome for line in staged_lines(receiver.stage.closed_segments())] == ["accepted"]


def test_several_workers_share_one_stage_and_drain_on_sigterm(tmp_path: Path) -> None:
    """Each process writes segments of its own, and a stopped receiver leaves none of them open."""
    with RunningReceiver(tmp_path, workers=2) as receiver:
        sent = [_with_id(f"evt_{number}") for number in range(60)]
        for body in sent:
            with httpx.Client(trust_env=False) as client:  # a new connection each, so that both workers get some
                answer = client.post(f"{receiver.url}/webhooks/acme", content=body, headers=signature(body))
            assert answer.status_code == 200
        assert receiver.stop() == 0
        segments = receiver.stage.closed_segments()
        assert sorted(line.event_id or "" for line in staged_lines(segments)) == sorted(
            f"evt_{number}" for number in range(60)
        )
        assert {path.suffix for path in receiver.stage.root.iterdir()} == {".jsonl"}


def test_sigterm_answers_what_has_been_asked_and_exits_with_0(tmp_path: Path) -> None:
    """A drained receiver has done what it was told; its open segment is closed at once."""
    with RunningReceiver(tmp_path, CONFIGURATION.replace("0.2", "3600")) as receiver:
        assert receiver.post(EVENT).status_code == 200
        assert receiver.stage.closed_segments() == []
        assert [segment.size > 0 for segment in receiver.stage.live_segments()] == [True]
        assert receiver.stop() == 0
        assert len(staged_lines(receiver.stage.closed_segments())) == 1
        assert receiver.stage.live_segments() == []


def _with_id(event_id: str) -> bytes:
    return orjson.dumps(orjson.loads(EVENT) | {"id": event_id})


class RefusingWriter:
    """Stands for a stage whose use would be a mistake."""

    def __init__(self) -> None:
        self.refusals: list[bytes] = []

    async def append(self, lines: bytes) -> None:
        """Fail: nothing may be staged."""
        raise AssertionError(lines)

    def append_unawaited(self, lines: bytes) -> None:
        """Keep what was recorded."""
        self.refusals.append(lines)


def _ask(receiver: Receiver, messages: list[dict[str, Any]], client: tuple[str, int] | None = None) -> list[int]:
    """The status codes *receiver* answers when *messages* arrive and then nothing more does."""
    statuses = []
    waiting = list(messages)

    async def receive() -> MutableMapping[str, Any]:
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop(0)

    async def send(message: MutableMapping[str, Any]) -> None:
        if "status" in message:
            statuses.append(message["status"])

    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": "/webhooks/acme",
        "headers": [],
        "client": client,
    }
    asyncio.run(receiver(scope, receive, send))
    return statuses


def _receiver(writer: RefusingWriter, allow_ips: list[str] | None = None, **limits: float) -> Receiver:
    settings = SourceSettings.model_validate(
        {"scheme": "hmac-sha256-hex", "secrets": ["env:X"], "allow_ips": allow_ips or []}
    )
    source = Source("acme", settings, (Secret("env:X", SECRET.encode()),))
    return Receiver({"acme": source}, writer, lambda: datetime.now(UTC), **limits)  # type: ignore[arg-type]


def test_a_body_that_trickles_in_is_refused_in_the_end() -> None:
    """A sender that opens a request and stops writing does not hold it for ever."""
    writer = RefusingWriter()
    opened = {"type": "http.request", "body": b"{", "more_body": True}
    assert _ask(_receiver(writer, body_seconds=0.05), [opened]) == [408]
    assert orjson.loads(writer.refusals[0])["reason"] == "body_too_slow"


def test_more_bytes_at_once_than_memory_is_meant_for_are_turned_away_for_now() -> None:
    """Over the bound on all bodies together the answer is 429, and the bound is free again afterwards."""
    writer = RefusingWriter()
    receiver = _receiver(writer, most_bytes_in_flight=10)
    large = {"type": "http.request", "body": b"x" * 11}
    assert _ask(receiver, [large]) == [429]
    assert _ask(receiver, [large]) == [429]
    assert _ask(receiver, [{"type": "http.request", "body": b"x" * 10}]) == [401]


@pytest.mark.parametrize(
    ("client", "status_code"),
    [
        (("192.0.2.7", 1), 401),
        (("::ffff:192.0.2.7", 1), 401),
        (("2001:db8::1", 1), 401),
        (("198.51.100.1", 1), 403),
        (("::1", 1), 403),
        (("not an address", 1), 403),
        (None, 403),
    ],
)
def test_an_allowlist_knows_its_networks_in_both_families(client: tuple[str, int] | None, status_code: int) -> None:
    """An address on the list goes on to its signature; any other, or none, is turned away before its body is read."""
    receiver = _receiver(RefusingWriter(), ["192.0.2.0/24", "2001:db8::/32"])
    messages = [{"type": "http.request", "body": b"{}"}] if status_code == 401 else []
    assert _ask(receiver, messages, client) == [status_code]


def test_the_clock_is_an_argument(tmp_path: Path) -> None:
    """A delivery signed at one time is accepted by a receiver whose clock says so, whenever the test runs."""
    (tmp_path / "hookmart.toml").write_text(
        '[sources.acme]\nscheme = "stripe"\nsecrets = ["env:X"]\n', encoding="utf-8"
    )
    settings = load_settings(tmp_path / "hookmart.toml", {})
    secrets = {"acme": [Secret("env:X", SECRET.encode())]}
    app = create_app(settings, secrets, now=lambda: datetime.fromtimestamp(1_780_480_800, UTC))
    digest = signature(b"1780480800." + EVENT)["X-Webhook-Signature"]

    async def post() -> tuple[int, int]:
        statuses = []
        for time in (1_780_480_800, 1_780_480_499):
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
                header = {"Stripe-Signature": f"t={time},v1={digest}"}
                statuses.append((await client.post("/webhooks/acme", content=EVENT, headers=header)).status_code)
        return statuses[0], statuses[1]

    # Without its lifespan the writer is not started: 503 says that everything before the stage agreed.
    assert asyncio.run(post()) == (503, 401)


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
