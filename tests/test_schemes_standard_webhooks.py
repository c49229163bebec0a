"""
Standard Webhooks: what its reference library tests, its asymmetric signatures, and the two names of its headers.

The cases are those of libraries/python/tests/test_webhooks.py and libraries/javascript/src/webhook.test.ts in
https://github.com/standard-webhooks/standard-webhooks, told anew.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ingest.errors import Refused
from ingest.sources import PRESETS, Secret
from ingest.verify import verify

SCHEME = PRESETS["standard-webhooks"]
ID = b"msg_p5jXN8AQM9LWM0D4loKWxJek"
TIME = b"1614265330"
BODY = b'{"test": 2432232314}'
KEY_TEXT = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SECRET = SCHEME.secret_of("env:STANDARD", KEY_TEXT)
WRONG = b"Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="
NAMES = (b"webhook-id", b"webhook-timestamp", b"webhook-signature")
SVIX_NAMES = (b"svix-id", b"svix-timestamp", b"svix-signature")

PRIVATE = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"a sender").digest())
PUBLIC_TEXT = "whpk_" + base64.b64encode(PRIVATE.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
PUBLIC = SCHEME.secret_of("env:PUBLIC", PUBLIC_TEXT)


def _signature(key: bytes = SECRET.key, body: bytes = BODY) -> bytes:
    return b"v1," + base64.b64encode(hmac.new(key, b".".join((ID, TIME, body)), hashlib.sha256).digest())


def _asymmetric(body: bytes = BODY) -> bytes:
    return b"v1a," + base64.b64encode(PRIVATE.sign(b".".join((ID, TIME, body))))


def _headers(signature: bytes, names: tuple[bytes, bytes, bytes] = NAMES) -> list[tuple[bytes, bytes]]:
    return list(zip(names, (ID, TIME, signature), strict=True))


def _reason(
    headers: list[tuple[bytes, bytes]],
    body: bytes = BODY,
    *,
    secrets: Sequence[Secret] = (SECRET,),
    seconds_later: float = 0,
) -> str | None:
    try:
        verify(SCHEME, body, headers, secrets, datetime.fromtimestamp(int(TIME) + seconds_later, UTC))
    except Refused as refused:
        return refused.reason
    return None


def test_the_reference_signature_is_what_it_is_expected_to_be() -> None:
    """Key, id, time and body of the reference give its signature, and it verifies."""
    assert _signature() == b"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert _reason(_headers(_signature())) is None


@pytest.mark.parametrize("text", ["", "whsec_"])
def test_an_empty_secret_is_no_key(text: str) -> None:
    """Where the library raises, ours decodes to nothing, which is under every minimum that a start allows."""
    assert SCHEME.key_of(text) == b""


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        (b"webhook-id", "missing_signature"),
        (b"webhook-timestamp", "missing_timestamp"),
        (b"webhook-signature", "missing_signature"),
    ],
)
def test_each_of_the_three_headers_is_needed(missing: bytes, reason: str) -> None:
    """Id and time are signed, so without them there is nothing to verify."""
    assert _reason([(name, value) for name, value in _headers(_signature()) if name != missing]) == reason


def test_a_time_that_is_no_number_is_refused() -> None:
    """`hello`, in the reference."""
    headers = [(name, b"hello" if name == b"webhook-timestamp" else value) for name, value in _headers(_signature())]
    assert _reason(headers) == "garbled_timestamp"


@pytest.mark.parametrize(
    "signature",
    [
        b"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OA=",
        b"v1,dawfeoifkpqwoekfpqoekf",
        _signature()[:8],
        b"v1,",
        b"v2" + _signature()[2:],
        b"v1a" + _signature()[2:],
        _signature().rstrip(b"="),
    ],
)
def test_a_wrong_or_partial_signature_is_refused(signature: bytes) -> None:
    """Another digit, a stump, another version: none of it opens."""
    assert _reason(_headers(signature)) in {"bad_signature", "garbled_signature"}


@pytest.mark.parametrize("seconds", [-301, 301])
def test_more_than_five_minutes_either_way_are_too_many(seconds: int) -> None:
    """Signed well, and refused for its age."""
    assert _reason(_headers(_signature()), seconds_later=seconds) == "timestamp_out_of_tolerance"


def test_of_several_signatures_one_has_to_be_good() -> None:
    """A sender that changes its secret signs with both; versions that we do not know are passed over."""
    signatures = b" ".join([b"v1," + WRONG, b"v2," + WRONG, _signature(), b"v1," + WRONG])
    assert _reason(_headers(signatures)) is None


def test_an_empty_body_verifies() -> None:
    """There is nothing in it to parse, and nothing wrong with it."""
    assert _reason(_headers(_signature(body=b"")), b"") is None


def test_a_body_that_is_not_utf_8_verifies() -> None:
    """The signature is over bytes; what they mean is not its question."""
    assert _reason(_headers(_signature(body=b"\xff\x00\xfe")), b"\xff\x00\xfe") is None


@pytest.mark.parametrize("prefix", ["", "whsec_"])
@pytest.mark.parametrize("padding", [KEY_TEXT, KEY_TEXT[:-1], KEY_TEXT + "Br", KEY_TEXT[:-1] + "=", KEY_TEXT + "Br=="])
def test_a_secret_verifies_with_and_without_prefix_and_padding(prefix: str, padding: str) -> None:
    """Senders print it in all of these ways; it is the same key in each."""
    key = base64.b64decode(padding + "=" * (-len(padding) % 4))
    secret = SCHEME.secret_of("env:X", prefix + padding)
    assert _reason(_headers(_signature(key)), secrets=[secret]) is None


def test_the_text_of_a_secret_is_not_its_key() -> None:
    """A sender that hashes `whsec_...` as it is written gets another signature, and has to be told."""
    text = ("whsec_" + KEY_TEXT).encode()
    assert _reason(_headers(_signature(text))) == "bad_signature"
    assert _reason(_headers(_signature(text.removeprefix(b"whsec_")))) == "bad_signature"
    assert _reason(_headers(_signature()), secrets=[Secret("env:X", text)]) == "bad_signature"


def test_an_asymmetric_signature_verifies_with_the_public_key() -> None:
    """`v1a` by the holder of the private key; the secret that is recorded is the public one."""
    headers = _headers(_asymmetric())
    now = datetime.fromtimestamp(int(TIME), UTC)
    assert verify(SCHEME, BODY, headers, [SECRET, PUBLIC], now).secret_name == "env:PUBLIC"
    assert _reason(headers, BODY + b" ", secrets=[PUBLIC]) == "bad_signature"
    assert _reason(headers, secrets=[SECRET]) == "bad_signature"
    assert _reason(headers, secrets=[PUBLIC], seconds_later=301) == "timestamp_out_of_tolerance"


def test_a_sender_may_change_from_one_kind_to_the_other() -> None:
    """It signs with both meanwhile, and the source may name keys of both kinds, in any order."""
    both = _headers(_signature() + b" " + _asymmetric())
    for secrets in ([SECRET], [PUBLIC], [SECRET, PUBLIC], [PUBLIC, SECRET]):
        assert _reason(both, secrets=secrets) is None


def test_who_knows_the_public_key_cannot_sign() -> None:
    """An HMAC with the public key as its key is what a stranger could make: of neither kind does it verify."""
    forged = _signature(PUBLIC.key)
    for signature in (forged, forged.replace(b"v1,", b"v1a,"), forged.replace(b"v1,", b"v1a,") + b" " + forged):
        assert _reason(_headers(signature), secrets=[PUBLIC]) == "bad_signature"
    assert _reason(_headers(_signature(PUBLIC_TEXT.encode())), secrets=[PUBLIC]) == "bad_signature"


@pytest.mark.parametrize("signature", [b"v1a,", b"v1a,%%%", b"v1a,AAAA", b"v1a," + b"\xff" * 88, b"v1a,AAA"])
def test_a_garbled_asymmetric_signature_is_refused(signature: bytes) -> None:
    """Not base64, or not of 64 bytes."""
    assert _reason(_headers(signature), secrets=[PUBLIC]) == "bad_signature"


def test_a_flood_of_asymmetric_signatures_is_not_worked_through() -> None:
    """Each costs far more than an HMAC, and a stranger could send as many as a header holds."""
    assert _reason(_headers(b" ".join([_asymmetric()] * 4)), secrets=[PUBLIC]) is None
    assert _reason(_headers(b" ".join([_asymmetric()] * 5)), secrets=[PUBLIC]) == "garbled_signature"


@pytest.mark.parametrize("text", ["whpk_", "whpk_AAAA", "whpk_" + "A" * 43, "whpk_" + KEY_TEXT, "whpk_!"])
def test_what_is_no_public_key_cannot_be_configured(text: str) -> None:
    """Too short, a placeholder, not base64: it would accept nothing, or everything."""
    with pytest.raises(ValueError, match="it is "):
        SCHEME.secret_of("env:X", text)


def test_svix_headers_do_as_well() -> None:
    """The same scheme under the names it had before it was a standard."""
    assert _reason(_headers(_signature(), SVIX_NAMES)) is None
    assert _reason(_headers(_signature(), SVIX_NAMES), BODY + b" ") == "bad_signature"


def test_a_request_with_both_families_is_judged_by_the_standard_one() -> None:
    """A sender may send both; which one counts must not depend on which of them is good."""
    good, bad = _signature(), b"v1," + WRONG
    for order in (1, -1):
        assert _reason((_headers(good) + _headers(bad, SVIX_NAMES))[::order]) is None
        assert _reason((_headers(bad) + _headers(good, SVIX_NAMES))[::order]) == "bad_signature"


@pytest.mark.parametrize("lent", [0, 1])
def test_the_families_do_not_help_each_other_out(lent: int) -> None:
    """An id or a time of the one beside the signature of the other is not what was signed."""
    for own, other in ((NAMES, SVIX_NAMES), (SVIX_NAMES, NAMES)):
        names = tuple(other[place] if place == lent else own[place] for place in range(3))
        headers = list(zip(names, (ID, TIME, _signature()), strict=True))
        assert _reason(headers) in {"missing_signature", "missing_timestamp"}
