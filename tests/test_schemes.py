"""Schemes as data: what each preset says, against what its platform publishes, and what cannot be described."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ingest.errors import Refused
from ingest.sources import PRESETS, UNSIGNED, HeaderNames, Scheme, Secret
from ingest.verify import verify

KEY = b"0123456789abcdef0123456789abcdef"
SECRET = Secret("env:X", KEY)
NOW = datetime.fromtimestamp(1_780_480_800, UTC)
BODY = b'{"id": "evt_01"}'

# https://docs.slack.dev/authentication/verifying-requests-from-slack, "A recipe for security": key, time, body, result.
SLACK_KEY = b"8f742231b10e8888abcd99yyyzzz85a5"
SLACK_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
    b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
SLACK_HEADERS = [
    (b"x-slack-request-timestamp", b"1531420618"),
    (b"x-slack-signature", b"v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
]

# https://github.com/HubSpot/hubspot-api-ruby, tests of its Signature class: the values of the third version.
HUBSPOT_KEY = b"yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"
HUBSPOT_BODY = b"{'example_field':'example_value'}"
HUBSPOT_URL = "https://www.example.com/webhook_uri"
HUBSPOT_HEADERS = [
    (b"x-hubspot-request-timestamp", b"1700000300000"),
    (b"x-hubspot-signature-v3", b"RnbPH7+UMKVkbV32P8bz450N4M56aPmcru1+D3kSDtw="),
]

# RFC 8032, section 7.1, tests 1 to 3: public key, message, signature.
RFC_8032 = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe"
        "24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302a"
        "eeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed2"
        "8dc027beceea1ec40a",
    ),
]


def _digest(message: bytes) -> bytes:
    return hmac.new(KEY, message, hashlib.sha256).digest()


def _is_accepted(scheme: Scheme, headers: list[tuple[bytes, bytes]], body: bytes = BODY, **more: Any) -> bool:
    arguments: dict[str, Any] = {"secrets": [SECRET], "now": NOW, **more}
    try:
        verify(scheme, body, headers, **arguments)
    except Refused:
        return False
    return True


def test_slacks_own_example_verifies() -> None:
    """The one request that its documentation signs, byte for byte; another secret does not fit it."""
    now = datetime.fromtimestamp(1_531_420_618, UTC)
    slack = PRESETS["slack"]
    assert verify(slack, SLACK_BODY, SLACK_HEADERS, [Secret("env:S", SLACK_KEY)], now).secret_name == "env:S"
    assert not _is_accepted(slack, SLACK_HEADERS, SLACK_BODY, now=now)
    assert not _is_accepted(slack, SLACK_HEADERS, SLACK_BODY + b"&", now=now, secrets=[Secret("env:S", SLACK_KEY)])


@pytest.mark.parametrize(
    ("changed", "is_accepted"),
    [
        ({}, True),
        ({"method": "PUT"}, False),
        ({"url": "http://www.example.com/webhook_uri"}, False),
        ({"url": HUBSPOT_URL + "/"}, False),
        ({"url": "https://www.example.com%2Fwebhook_uri"}, True),
        ({"body": HUBSPOT_BODY + b" "}, False),
        ({"now": datetime.fromtimestamp(1_700_000_600, UTC)}, True),
        ({"now": datetime.fromtimestamp(1_700_000_601, UTC)}, False),
        ({"now": datetime.fromtimestamp(1_699_999_999, UTC)}, False),
    ],
)
def test_hubspots_own_example_verifies_with_its_method_url_body_and_time(
    changed: dict[str, Any], *, is_accepted: bool
) -> None:
    """All four are signed, so none can be another; the time is in milliseconds, and five minutes are allowed."""
    request: dict[str, Any] = {
        "body": HUBSPOT_BODY,
        "secrets": [Secret("env:H", HUBSPOT_KEY)],
        "now": datetime.fromtimestamp(1_700_000_300, UTC),
        "method": "POST",
        "url": HUBSPOT_URL,
    }
    assert _is_accepted(PRESETS["hubspot-v3"], HUBSPOT_HEADERS, **(request | changed)) is is_accepted


@pytest.mark.parametrize(
    ("sent", "signed"),
    [
        ("/x?a=%3A%2F%3F%40%21%24%27%28%29%2A%2C%3B", "/x?a=:/?@!$'()*,;"),
        ("/x?a=%3a%2f", "/x?a=:/"),
        ("/x?a=%20%26%3D%25%2B", "/x?a=%20%26%3D%25%2B"),
        ("/x?a=%253A", "/x?a=%253A"),
        ("/x?a=%", "/x?a=%"),
    ],
)
def test_hubspot_signs_the_url_with_twelve_characters_decoded(sent: str, signed: str) -> None:
    """The encodings that its documentation lists are decoded, once; all others stay as they were sent."""
    message = b"POSThttps://h.example" + signed.encode() + BODY + b"1780480800000"
    headers = [
        (b"x-hubspot-request-timestamp", b"1780480800000"),
        (b"x-hubspot-signature-v3", base64.b64encode(_digest(message))),
    ]
    assert _is_accepted(PRESETS["hubspot-v3"], headers, url="https://h.example" + sent)


@pytest.mark.parametrize(("preset", "header"), [("rewardful", "X-Rewardful-Signature"), ("dub", "Dub-Signature")])
def test_affiliate_platforms_that_sign_the_body_in_hex_verify(preset: str, header: str) -> None:
    """Rewardful and Dub send the hex HMAC-SHA256 of the body, each in a header of its own, and no time."""
    headers = [(header.lower().encode(), _digest(BODY).hex().encode())]
    assert _is_accepted(PRESETS[preset], headers)
    assert not _is_accepted(PRESETS[preset], headers, BODY + b" ")
    assert not PRESETS[preset].has_timestamp


def test_dub_takes_no_secrets_but_its_own_short_ones() -> None:
    """They are `whsec_` and 16 characters, and the whole of it is the key; every other preset asks for 32 bytes."""
    assert {name for name, scheme in (PRESETS | UNSIGNED).items() if scheme.shortest_secret < 32} == {"dub"}
    assert PRESETS["dub"].shortest_secret == len("whsec_") + 16
    assert PRESETS["dub"].key_of("whsec_0123456789abcdef") == b"whsec_0123456789abcdef"


@pytest.mark.parametrize(("key", "message", "signature"), RFC_8032)
def test_ed25519_verifies_the_examples_of_its_rfc(key: str, message: str, signature: str) -> None:
    """A scheme of one's own may be asymmetric: the configured secret is then the sender's public key."""
    scheme = Scheme(algorithm="ed25519", key="hex")
    secret = scheme.secret_of("env:PUBLIC", key)
    headers = [(b"x-webhook-signature", signature.upper().encode())]
    assert verify(scheme, bytes.fromhex(message), headers, [secret], NOW).secret_name == "env:PUBLIC"
    assert not _is_accepted(scheme, headers, bytes.fromhex(message) + b"\0", secrets=[secret])
    assert not _is_accepted(scheme, [(b"x-webhook-signature", signature[:-2].encode())], secrets=[secret])


def test_a_public_key_is_never_the_key_of_an_hmac() -> None:
    """Everybody knows it, so everybody could sign with it."""
    public = Secret("env:PUBLIC", KEY, is_public=True)
    headers = [(b"x-webhook-signature", _digest(BODY).hex().encode())]
    assert _is_accepted(Scheme(), headers)
    assert not _is_accepted(Scheme(), headers, secrets=[public])


@pytest.mark.parametrize(
    ("fields", "text", "key"),
    [
        ({}, "whsec_" + "A" * 32, b"whsec_" + b"A" * 32),
        ({}, "p\udcff", b"p\xff"),
        ({"key": "hex"}, "00fF" * 8, b"\x00\xff" * 8),
        ({"key": "base64"}, "//79", b"\xff\xfe\xfd"),
        ({"key": "base64"}, "//7", b"\xff\xfe"),
        ({"key": "whsec"}, "whsec_//79", b"\xff\xfe\xfd"),
        ({"key": "whsec"}, "//79", b"\xff\xfe\xfd"),
        ({"key": "user:password"}, "a:b:c", b"a:b:c"),
    ],
)
def test_a_secret_is_decoded_as_its_scheme_says(fields: dict[str, Any], text: str, key: bytes) -> None:
    """Padded or not, with its prefix or without; as text it is its own bytes, whatever it looks like."""
    assert Scheme(**fields).secret_of("env:X", text) == Secret("env:X", key)


@pytest.mark.parametrize(
    ("fields", "text", "says"),
    [
        ({"key": "hex"}, "0123456789abcdefg", "not hex"),
        ({"key": "hex"}, "00 11", "not hex"),
        ({"key": "base64"}, "A", "not base64"),
        ({"key": "base64"}, "AA-_", "not base64"),
        ({"key": "whsec"}, "whsec_AA-_", "not base64 behind an optional `whsec_`"),
        ({"key": "whsec"}, "whsk_AAAA", "sender's own signing key"),
        ({"key": "whsec"}, "whpk_AAAA", "not base64"),
        ({"key": "user:password"}, "no colon in it", "not `user:password`"),
        ({"key": "user:password"}, "somebody:", "not `user:password`"),
        ({"algorithm": "ed25519", "key": "hex"}, "00" * 31, "which has 32 bytes"),
        ({"algorithm": "ed25519", "key": "hex"}, "00" * 32, "a placeholder"),
    ],
)
def test_a_secret_of_another_form_is_refused_and_not_repeated(fields: dict[str, Any], text: str, says: str) -> None:
    """What was copied wrongly is said when it is read, in words that may be logged."""
    with pytest.raises(ValueError, match=says) as refused:
        Scheme(**fields).secret_of("env:X", text)
    assert text not in str(refused.value)


@pytest.mark.parametrize(
    ("unit", "text", "seconds"),
    [
        ("seconds", b"1780480800", 0),
        ("milliseconds", b"1780480800999", 0.999),
        ("rfc3339", b"2026-06-03T10:00:00Z", 0),
        ("rfc3339", b"2026-06-03t12:00:00.5+02:00", 0.5),
        ("rfc3339", b"2026-06-03T10:00:00.123456789z", 0.123456),
    ],
)
def test_a_time_is_read_in_the_unit_of_its_scheme(unit: str, text: bytes, seconds: float) -> None:
    """The tolerance ends exactly so many seconds after it, whatever it is written in."""
    fields = {"timestamp_header": "x-time", "timestamp_unit": unit, "signed": "{timestamp}{body}"}
    scheme = Scheme.model_validate(fields | {"tolerance_past_seconds": 10, "tolerance_future_seconds": 20})
    headers = [(b"x-time", text), (b"x-webhook-signature", _digest(text + BODY).hex().encode())]
    sent = NOW + timedelta(seconds=seconds)
    for offset, is_accepted in ((-20.001, False), (-19.999, True), (9.999, True), (10.001, False)):
        assert _is_accepted(scheme, headers, now=sent + timedelta(seconds=offset)) is is_accepted


@pytest.mark.parametrize("text", [b"2026-06-03 10:00:00", b"2026-13-03T10:00:00Z", b"1780480800", b"::::::::", b"2026"])
def test_a_time_that_is_none_is_garbled(text: bytes) -> None:
    """No zone, no such month, another unit: it is the sender's to correct."""
    scheme = Scheme(timestamp_header="x-time", timestamp_unit="rfc3339", signed="{timestamp}{body}")
    headers = [(b"x-time", text), (b"x-webhook-signature", _digest(text + BODY).hex().encode())]
    with pytest.raises(Refused, match="garbled_timestamp"):
        verify(scheme, BODY, headers, [SECRET], NOW)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"signed": "{timestamp}"}, "{body} once"),
        ({"signed": "{body}{body}"}, "{body} once"),
        ({"signed": "{timestamp}.{body}"}, "need each other"),
        ({"signed": "{path}{body}"}, "{path} in `signed` is none of {id}, {timestamp}, {method}, {url}, {body}"),
        ({"timestamp_header": "x-time"}, "need each other"),
        ({"id_header": "x-id"}, "need each other"),
        ({"signed": "{id}.{body}"}, "need each other"),
        ({"timestamp_prefix": "t=", "signed": "{timestamp}.{body}"}, "needs a `separator`"),
        (
            {"timestamp_prefix": "t=", "timestamp_header": "x", "separator": ",", "signed": "{timestamp}.{body}"},
            "only one of",
        ),
        ({"header": "not a header"}, "pattern"),
        ({"tolerance": 1}, "not permitted"),
        ({"algorithm": "hmac-md5"}, "hmac-sha256"),
        ({"algorithm": "token"}, '`signed` must be ""'),
        ({"algorithm": "none"}, '`signed` must be ""'),
        ({"encoding": "text"}, "`algorithm`|algorithm"),
        ({"algorithm": "ed25519"}, '"hex", "base64" or "whsec"'),
        ({"ed25519_prefix": "v1a,"}, "beside an HMAC"),
        ({"prefix": "v1", "ed25519_prefix": "v1a", "key": "whsec"}, "neither may open the other"),
        ({"ed25519_prefix": "v1a", "key": "whsec"}, "neither may open the other"),
        ({"url_decoded": ":"}, "needs {url}"),
        ({"alternatives": [{"header": "x", "id_header": "y"}]}, "same headers"),
        ({"shortest_secret": 8}, "16"),
        ({"shortest_secret": 64}, "32"),
    ],
)
def test_a_scheme_that_would_prove_nothing_or_never_fit_cannot_be_described(fields: dict[str, Any], says: str) -> None:
    """A body that is not covered, a time that is not signed, a misspelt field: refused when it is written down."""
    with pytest.raises(ValidationError) as refused:
        Scheme(**fields)
    assert any(each in str(refused.value) for each in says.split("|"))


def test_a_scheme_says_what_the_receiver_must_know_of_it() -> None:
    """Which headers it reads, and whether it covers URL, body and time."""
    assert {name for name, scheme in PRESETS.items() if scheme.covers_url} == {"hubspot-v3"}
    assert all(scheme.covers_body for scheme in PRESETS.values())
    assert not any(scheme.covers_body for scheme in UNSIGNED.values())
    assert {name for name, scheme in PRESETS.items() if scheme.has_timestamp} == {
        "hubspot-v3", "paddle", "slack", "standard-webhooks", "stripe",
    }  # fmt: skip
    assert PRESETS["slack"].header_names == {"x-slack-signature", "x-slack-request-timestamp"}
    assert {"svix-id", "webhook-id"} < PRESETS["standard-webhooks"].header_names
    assert UNSIGNED["none"].header_names == frozenset()


def test_a_scheme_that_is_changed_is_read_anew() -> None:
    """What was made ready of the old one does not outlive its change, and a change is checked like any scheme."""
    scheme = Scheme()
    headers = [(b"x-other", _digest(BODY).hex().encode())]
    assert not _is_accepted(scheme, headers)
    assert _is_accepted(scheme.model_copy(update={"header": "X-Other"}), headers)
    assert scheme == Scheme()
    assert hash(scheme) == hash(Scheme())
    with pytest.raises(ValidationError):
        scheme.model_copy(update={"signed": ""})


@given(sent=st.lists(st.sampled_from(["own", "first", "second"]), unique=True, min_size=1), signed=st.data())
def test_of_several_families_of_headers_one_is_read_whole(sent: list[str], signed: st.DataObject) -> None:
    """The first whose signature is there decides; a good one in another, or split over two, changes nothing."""
    names = {"own": "x-own", "first": "x-first", "second": "x-second"}
    scheme = Scheme(
        header="x-own",
        timestamp_header="x-own-time",
        signed="{timestamp}{body}",
        alternatives=tuple(
            HeaderNames(header=names[each], timestamp_header=f"{names[each]}-time") for each in ("first", "second")
        ),
    )
    good = signed.draw(st.sampled_from(sent))
    headers = []
    for each in sent:
        time = b"1780480800"
        value = _digest(time + BODY).hex() if each == good else "00" * 32
        headers += [(f"{names[each]}-time".encode(), time), (names[each].encode(), value.encode())]
    first = next(each for each in names if each in sent)
    assert _is_accepted(scheme, headers) is (good == first)
    assert not _is_accepted(
        scheme, [(name, value) for name, value in headers if name != f"{names[first]}-time".encode()]
    )
