"""Every signing scheme against its vectors, and the verifier against whatever a stranger may send."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.errors import REFUSALS, Refused
from ingest.sources import PRESETS, UNSIGNED, Scheme, Secret
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
    secret = scheme.secret_of("env:X", vector["secret"])
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
        ("slack", [(b"x-slack-signature", b"v0=00")] + [(b"x-slack-request-timestamp", b"1")] * 2, "garbled_timestamp"),
        (
            "hubspot-v3",
            [(b"x-hubspot-signature-v3", b"AA=="), (b"x-hubspot-request-timestamp", b"1e9")],
            "garbled_timestamp",
        ),
        (
            "standard-webhooks",
            [
                (b"webhook-signature", b" ".join([b"v1a," + base64.b64encode(bytes(64))] * 5)),
                (b"webhook-timestamp", b"1780480800"),
                (b"webhook-id", b"msg_1"),
            ],
            "garbled_signature",
        ),
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


_SCHEMES = {
    **PRESETS,
    **{name: scheme for name, scheme in UNSIGNED.items() if scheme.needs_secret},
    "ed25519": Scheme(algorithm="ed25519", key="hex"),
    "rfc3339": Scheme(timestamp_header="x-time", timestamp_unit="rfc3339", signed="{timestamp}{body}"),
}
_NAMES = sorted({name.encode() for scheme in _SCHEMES.values() for name in scheme.header_names})
_SECRETS = [SECRET, Secret("env:PUBLIC", bytes(range(32)), is_public=True)]
_VALUES = st.one_of(
    st.binary(max_size=200),
    st.sampled_from([b"a" * 9000, b"v1a," * 2000, b"\xff" * 8192, "\u0661".encode(), b"9" * 5000]),
    st.datetimes().map(lambda moment: moment.isoformat().encode() + b"Z"),
    st.from_regex(rb"\A[0-9T:. +-]{19,35}Z?\Z"),
    st.lists(
        st.sampled_from(
            b"v1,|v1a,|v1=|t=|ts=|h1=|sha256=|v0=|Basic |bearer |basic|,|;| |1780480800|1780480800000|AA==|=".split(
                b"|"
            )
        )
    ).map(b"".join),
)
# Every kind of text, lone surrogates too: it is as good as Python allows a server to pass on.
_TEXT = st.text(st.characters(), max_size=100)


@settings(max_examples=400)
@given(
    preset=st.sampled_from(sorted(_SCHEMES)),
    body=st.binary(max_size=200),
    headers=st.lists(st.tuples(st.one_of(st.sampled_from(_NAMES), st.binary(max_size=20)), _VALUES), max_size=8),
    method=_TEXT,
    url=_TEXT,
)
def test_whatever_a_stranger_sends_is_refused_and_nothing_else(
    preset: str, body: bytes, headers: list[tuple[bytes, bytes]], method: str, url: str
) -> None:
    """Without the secret there is no way in, and no way to an error that is not a refusal."""
    with pytest.raises(Refused) as refused:
        verify(_SCHEMES[preset], body, headers, _SECRETS, NOW, method=method, url=url)
    assert refused.value.reason in REFUSALS


@given(key=st.binary(max_size=300), body=st.binary(max_size=3000), digest=st.sampled_from(["sha256", "sha512", "sha1"]))
def test_every_hash_is_an_hmac_as_the_library_makes_it(key: bytes, body: bytes, digest: str) -> None:
    """Keys longer than the hash's block among them, and the same key again."""
    scheme = Scheme.model_validate({"algorithm": f"hmac-{digest}"})
    headers = [(b"x-webhook-signature", hmac.digest(key, body, digest).hex().encode())]
    for _ in range(2):
        assert verify(scheme, body, headers, [Secret("env:X", key)], NOW).secret_name == "env:X"
        with pytest.raises(Refused, match="bad_signature"):
            verify(scheme, body + b"\0", headers, [Secret("env:X", key)], NOW)


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
