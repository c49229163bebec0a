"""Every signing scheme against its vectors, and the verifier against whatever a stranger may send."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ingest.errors import REFUSALS, Refused
from ingest.sources import PRESETS, Scheme, Secret
from ingest.verify import verify

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "fixtures" / "signature_vectors.json").read_text(encoding="utf-8")
)
KEY = b"0123456789abcdef0123456789abcdef"
SECRET = Secret("env:NEW", KEY)
NOW = datetime.fromtimestamp(1_780_480_800, UTC)
BODY = b'{"id": "evt_01"}'


def _digest(message: bytes, key: bytes = KEY) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()


def _refusal(scheme: Scheme, headers: list[tuple[bytes, bytes]], body: bytes = BODY, now: datetime = NOW) -> str | None:
    try:
        verify(scheme, body, headers, [SECRET], now)
    except Refused as refused:
        return refused.reason
    return None


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))
def test_every_published_vector_is_judged_as_published(vector: dict[str, Any]) -> None:
    """What a scheme's own documents say verifies, verifies; what they say does not, is refused."""
    scheme = PRESETS[vector["scheme"]]
    headers = [(name.lower().encode(), value.encode()) for name, value in vector["headers"].items()]
    secret = Secret("env:X", scheme.key_of(vector["secret"]))
    now = datetime.fromtimestamp(vector["now"], UTC)
    if vector["verifies"]:
        assert verify(scheme, vector["body"].encode(), headers, [secret], now).secret_name == "env:X"
    else:
        with pytest.raises(Refused):
            verify(scheme, vector["body"].encode(), headers, [secret], now)


@pytest.mark.parametrize(
    ("preset", "headers"),
    [
        ("shopify", [(b"x-shopify-hmac-sha256", base64.b64encode(_digest(BODY)))]),
        (
            "slack",
            [
                (b"x-slack-request-timestamp", b"1780480800"),
                (b"x-slack-signature", b"v0=" + _digest(b"v0:1780480800:" + BODY).hex().encode()),
            ],
        ),
    ],
)
def test_schemes_without_a_published_vector_verify_what_they_describe(
    preset: str, headers: list[tuple[bytes, bytes]]
) -> None:
    """A request signed the way the platform's page says is accepted, and one byte more in the body is not."""
    assert _refusal(PRESETS[preset], headers) is None
    assert _refusal(PRESETS[preset], headers, BODY + b" ") == "bad_signature"


@pytest.mark.parametrize("secrets", [[SECRET, Secret("env:OLD", b"o" * 32)], [Secret("env:OLD", b"o" * 32), SECRET]])
def test_during_a_rotation_either_secret_verifies_and_is_named(secrets: list[Secret]) -> None:
    """A sender may change over whenever it likes, and the operator sees when it has."""
    for secret in secrets:
        headers = [(b"x-webhook-signature", _digest(BODY, secret.key).hex().encode())]
        assert verify(PRESETS["hmac-sha256-hex"], BODY, headers, secrets, NOW).secret_name == secret.name


def test_hex_may_be_written_in_capitals() -> None:
    """The case of hex digits carries nothing, so it proves nothing wrong."""
    capitals = _digest(BODY).hex().upper().encode()
    assert _refusal(PRESETS["hmac-sha256-hex"], [(b"x-webhook-signature", b" " + capitals + b" ")]) is None


@pytest.mark.parametrize(
    ("preset", "headers", "reason"),
    [
        ("hmac-sha256-hex", [], "missing_signature"),
        ("hmac-sha256-hex", [(b"x-webhook-signature", b"")], "missing_signature"),
        ("hmac-sha256-hex", [(b"x-webhook-signature", b"  ")], "missing_signature"),
        ("hmac-sha256-hex", [(b"x-webhook-signature", _digest(BODY).hex().encode())] * 2, "repeated_signature"),
        ("hmac-sha256-hex", [(b"x-webhook-signature", b"\xff\x00")], "bad_signature"),
        ("hmac-sha256-hex", [(b"x-webhook-signature", b"a" * 9000)], "garbled_signature"),
        ("hmac-sha256-base64", [(b"x-webhook-signature", _digest(BODY).hex().encode())], "bad_signature"),
        ("github", [(b"x-hub-signature-256", _digest(BODY).hex().encode())], "garbled_signature"),
        ("standard-webhooks", [(b"webhook-signature", b"v1,AAAA")], "missing_timestamp"),
        (
            "standard-webhooks",
            [(b"webhook-signature", b"v1,AAAA"), (b"webhook-timestamp", b"1780480800")],
            "missing_signature",
        ),
        ("stripe", [(b"stripe-signature", b"v1=00")], "missing_timestamp"),
        ("stripe", [(b"stripe-signature", b"t=1,t=2,v1=00")], "garbled_timestamp"),
        ("stripe", [(b"stripe-signature", b"t=-1,v1=00")], "garbled_timestamp"),
        ("stripe", [(b"stripe-signature", b"t=1e9,v1=00")], "garbled_timestamp"),
        ("stripe", [(b"stripe-signature", "t=\u0661,v1=00".encode())], "garbled_timestamp"),
        ("stripe", [(b"stripe-signature", b"t=" + b"9" * 400 + b",v1=00")], "garbled_timestamp"),
        ("stripe", [(b"stripe-signature", b"t=1780480800")], "garbled_signature"),
    ],
)
def test_a_signature_that_cannot_be_read_is_refused_by_its_reason(
    preset: str, headers: list[tuple[bytes, bytes]], reason: str
) -> None:
    """A signature we cannot read is the sender's mistake, and the operator sees which."""
    assert _refusal(PRESETS[preset], headers) == reason
    assert REFUSALS[reason] == 401


@pytest.mark.parametrize(
    ("seconds", "reason"),
    [(-301, "timestamp_out_of_tolerance"), (-300, None), (300, None), (301, "timestamp_out_of_tolerance")],
)
def test_a_well_signed_request_may_be_five_minutes_off_on_either_side(seconds: int, reason: str | None) -> None:
    """Older may be a replay, newer is a clock that cannot be trusted; both edges are still taken."""
    timestamp = str(1_780_480_800 + seconds).encode()
    value = b"t=" + timestamp + b",v1=" + _digest(timestamp + b"." + BODY).hex().encode()
    assert _refusal(PRESETS["stripe"], [(b"stripe-signature", value)]) == reason


def test_a_scheme_of_ones_own_is_described_as_data() -> None:
    """A platform that no preset knows needs a table in the configuration, and no code."""
    scheme = Scheme(
        header="X-Acme", prefix="sig:", separator="|", timestamp_header="X-Time", signed="{timestamp}\n{body}"
    )
    signature = b"old:1|sig:" + _digest(b"1780480800\n" + BODY).hex().encode()
    assert _refusal(scheme, [(b"x-acme", signature), (b"x-time", b"1780480800")]) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"signed": "{timestamp}"},
        {"signed": "{body}{body}"},
        {"signed": "{timestamp}.{body}"},
        {"timestamp_header": "x-time"},
        {"id_header": "x-id"},
        {"signed": "{id}.{body}"},
        {"timestamp_prefix": "t=", "signed": "{timestamp}.{body}"},
        {"timestamp_prefix": "t=", "timestamp_header": "x", "separator": ",", "signed": "{timestamp}.{body}"},
        {"header": "not a header"},
        {"tolerance": 1},
    ],
)
def test_a_scheme_that_would_prove_nothing_cannot_be_described(fields: dict[str, Any]) -> None:
    """A body that is not covered, a time that is not signed, a misspelt field: refused when it is written down."""
    with pytest.raises(ValidationError):
        Scheme(**fields)


_NAMES = sorted(
    {
        name.encode()
        for scheme in PRESETS.values()
        for name in (scheme.header, scheme.timestamp_header, scheme.id_header)
        if name
    }
)
_VALUES = st.one_of(
    st.binary(max_size=200),
    st.lists(
        st.sampled_from([b"v1,", b"v1=", b"t=", b"ts=", b"h1=", b"sha256=", b"v0=", b",", b";", b" ", b"1780480800"])
    ).map(b"".join),
)


@given(
    preset=st.sampled_from(sorted(PRESETS)),
    body=st.binary(max_size=200),
    headers=st.lists(st.tuples(st.sampled_from(_NAMES), _VALUES), max_size=6),
)
def test_whatever_a_stranger_sends_is_refused_and_nothing_else(
    preset: str, body: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    """Without the secret there is no way in, and no way to an error that is not a refusal."""
    assert _refusal(PRESETS[preset], headers, body) in REFUSALS


@given(body=st.binary(max_size=200), preset=st.sampled_from(["hmac-sha256-hex", "hmac-sha256-base64", "shopify"]))
def test_any_body_that_is_signed_well_is_accepted(body: bytes, preset: str) -> None:
    """The signature is over bytes: text or not, empty or not, they verify as sent."""
    scheme = PRESETS[preset]
    digest = _digest(body)
    value = digest.hex().encode() if scheme.encoding == "hex" else base64.b64encode(digest)
    assert _refusal(scheme, [(scheme.header.encode(), value)], body) is None


def test_a_secret_is_not_in_what_is_printed_of_it() -> None:
    """A log or a traceback that shows the object shows where the secret is kept, and not the secret."""
    assert repr(SECRET) == "Secret(name='env:NEW')"
