"""Signing is the other side of verifying: what our signer signs, our verifier and a real receiver accept."""

import base64
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import Refused
from ingest.sources import PRESETS, UNSIGNED, Scheme, Secret
from ingest.verify import verify
from sending.signing import CannotSign, Headers, Signer, message_id
from tests import preset_senders
from tests.running_receiver import EVENT_FILES, SECRET, RunningReceiver

KEY = b"0123456789abcdef0123456789abcdef"
NOW = datetime(2026, 6, 3, 10, tzinfo=UTC)
BODY = b'{"id": "evt_01", "note": "{timestamp}{id}"}'
URL = "https://hooks.example/webhooks/acme?a=%3A%2F&b=%20"
SCHEMES = {**PRESETS, **UNSIGNED}
OWN = {
    "sha512, everything": Scheme(
        algorithm="hmac-sha512", encoding="base64", prefix="s=", separator=";", timestamp_prefix="t=",
        timestamp_unit="rfc3339", id_header="x-id", signed="{method} {url} {id} {timestamp} {body}",
    ),
    "sha1": Scheme(algorithm="hmac-sha1", header="x-sig"),
}  # fmt: skip
ALL = SCHEMES | OWN


def is_accepted(scheme: Scheme, headers: Headers, *, body: bytes = BODY, url: str = URL, key: bytes = KEY) -> bool:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers]
    try:
        verify(scheme, body, raw, [Secret("env:X", key)], NOW, method="POST", url=url)
    except Refused:
        return False
    return True


def signer_of(scheme: Scheme) -> Signer:
    return Signer.of(scheme, [Secret("env:X", KEY)])


@pytest.mark.parametrize("name", ALL)
def test_what_is_signed_by_a_scheme_verifies_by_it(name: str) -> None:
    """Every preset, and schemes that use all that a table may say."""
    scheme = ALL[name]
    headers = signer_of(scheme).headers(BODY, "evt_01", NOW, url=URL)
    assert is_accepted(scheme, headers)
    assert is_accepted(scheme, headers, key=b"x" * 32) is (scheme.algorithm == "none")
    assert is_accepted(scheme, headers, body=BODY + b" ") is not scheme.covers_body
    assert is_accepted(scheme, headers, url="https://other.example/") is not scheme.covers_url


@pytest.mark.parametrize("name", [name for name, scheme in ALL.items() if scheme.has_timestamp])
def test_the_time_is_signed_and_is_the_one_given(name: str) -> None:
    """Signed five minutes ago it still verifies, a second earlier no longer."""
    scheme = ALL[name]
    for seconds, is_so in ((299, True), (301, False), (-299, True), (-302, False)):
        at = NOW - timedelta(seconds=seconds)
        assert is_accepted(scheme, signer_of(scheme).headers(BODY, "evt_01", at, url=URL)) is is_so


@given(body=st.binary(max_size=200), event_id=st.text(min_size=1, max_size=128))
def test_any_body_and_any_id_can_be_signed(body: bytes, event_id: str) -> None:
    """An id that no header can carry is replaced by its hash, the same on every attempt."""
    scheme = PRESETS["standard-webhooks"]
    headers = signer_of(scheme).headers(body, event_id, NOW)
    assert is_accepted(scheme, headers, body=body)
    assert dict(headers)["webhook-id"] == message_id(event_id)


def test_the_first_secret_that_can_sign_is_taken() -> None:
    """A public key verifies only, so the secret behind it signs; with public keys alone nobody here can."""
    scheme = PRESETS["standard-webhooks"]
    public = Secret("env:PUBLIC", KEY, is_public=True)
    assert Signer.of(scheme, [public, Secret("env:X", KEY)]).secret == Secret("env:X", KEY)
    with pytest.raises(CannotSign, match="public keys"):
        Signer.of(scheme, [public])
    with pytest.raises(CannotSign, match="needs a secret"):
        Signer.of(scheme, [])


SEED = bytes(range(32))
PUBLIC = Ed25519PrivateKey.from_private_bytes(SEED).public_key()
WRITINGS = {
    "whsk": "whsk_" + base64.b64encode(SEED).decode(),
    "with the public key behind it": base64.b64encode(SEED + PUBLIC.public_bytes_raw()).decode(),
    "hex": SEED.hex().upper() + "\n",
    "pem": Ed25519PrivateKey.from_private_bytes(SEED)
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    .decode(),
}


@pytest.mark.parametrize("writing", WRITINGS)
@pytest.mark.parametrize(
    "scheme", [PRESETS["standard-webhooks"], Scheme(algorithm="ed25519", key="hex", encoding="hex", header="X-Sign")]
)
def test_a_private_key_of_ones_own_signs_what_its_public_one_accepts(scheme: Scheme, writing: str) -> None:
    """However it is written; and a guess in its place is refused."""
    public = Secret("env:PUBLIC", PUBLIC.public_bytes_raw(), is_public=True)
    signer = Signer.of(scheme, [public], WRITINGS[writing])
    guess = replace(signer, secret=Secret("a guess", b"x" * 32))
    for each in (signer, guess):
        raw = [(name.lower().encode(), value.encode()) for name, value in each.headers(BODY, "evt_01", NOW)]
        if each is signer:
            verify(scheme, BODY, raw, [public], NOW, method="POST", url=URL)
        else:
            with pytest.raises(Refused):
                verify(scheme, BODY, raw, [public], NOW, method="POST", url=URL)


@pytest.mark.parametrize(
    ("scheme", "key", "says"),
    [
        ("standard-webhooks", "00" * 32, "private key to none of the source's public keys"),
        ("standard-webhooks", "whsk_AAAA", "no private key of Ed25519"),
        ("standard-webhooks", "a word", "no private key of Ed25519"),
        ("github", SEED.hex(), "has no Ed25519 signatures"),
    ],
)
def test_a_private_key_that_is_none_is_told(scheme: str, key: str, says: str) -> None:
    """In a sentence that does not repeat it."""
    with pytest.raises(CannotSign, match=says) as told:
        Signer.of(PRESETS[scheme], [Secret("env:PUBLIC", PUBLIC.public_bytes_raw(), is_public=True)], key)
    assert key not in str(told.value)


def test_a_scheme_of_private_keys_cannot_be_signed_by_us() -> None:
    """The configuration holds the platform's public key, and nothing else."""
    signer = Signer(Scheme(algorithm="ed25519", key="hex"), Secret("env:X", KEY))
    with pytest.raises(CannotSign, match="private key"):
        signer.headers(BODY, "evt_01", NOW)


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningReceiver]:
    configuration, environ = preset_senders.CONFIGURATION, preset_senders.ENVIRON
    with RunningReceiver(tmp_path_factory.mktemp("signing"), configuration, environ=environ) as running:
        yield running


@pytest.mark.parametrize("name", SCHEMES)
def test_a_real_receiver_accepts_what_is_signed_for_its_source(receiver: RunningReceiver, name: str) -> None:
    """Over HTTP, with the source's own secret, read as its scheme reads it; with another secret it is refused."""
    scheme = SCHEMES[name]
    text = preset_senders.ENVIRON["BASIC_SECRET"] if name == "basic" else SECRET
    signer = Signer.of(scheme, [scheme.secret_of("env:X", text)] if scheme.needs_secret else [])
    body = EVENT_FILES[0].read_bytes()
    url = f"{receiver.url}/webhooks/{name}"
    headers = signer.headers(body, "evt_01", datetime.now(UTC), url=url)
    assert receiver.post(body, dict(headers), source=name).status_code == 200
    if scheme.needs_secret:
        other = Signer(scheme, Secret("nowhere", b"x" * 32)).headers(body, "evt_01", datetime.now(UTC), url=url)
        assert receiver.post(body, dict(other), source=name).status_code == 401
