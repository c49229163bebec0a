"""Schemes that sign nothing: a password, a token, or nothing at all, and the fences that a source then needs."""

import base64
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import Refused, SettingsError
from ingest.settings import Settings, load_settings
from ingest.sources import UNSIGNED, Scheme, Secret
from ingest.verify import verify
from ingest.warnings import warnings_of

NOW = datetime.fromtimestamp(1_780_480_800, UTC)
CREDENTIALS = "affiliate:0123456789abcdef0123456789"
PASSWORD = Secret("env:BASIC", CREDENTIALS.encode())
TOKEN = Secret("env:BEARER", b"0123456789abcdef0123456789abcdef")


def _reason(scheme: Scheme, secret: Secret, *values: bytes) -> str | None:
    try:
        verify(scheme, b"{}", [(b"authorization", value) for value in values], [secret], NOW)
    except Refused as refused:
        return refused.reason
    return None


def _load(directory: Path, text: str) -> Settings:
    (directory / "hookmart.toml").write_text("[sources.acme]\n" + text, encoding="utf-8")
    return load_settings(directory / "hookmart.toml", {})


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"Basic " + base64.b64encode(CREDENTIALS.encode()), None),
        (b"basic  " + base64.b64encode(CREDENTIALS.encode()), None),
        (b"Basic " + base64.b64encode(CREDENTIALS.encode() + b"x"), "bad_signature"),
        (b"Basic " + CREDENTIALS.encode(), "bad_signature"),
        (b"Basic", "garbled_signature"),
        (base64.b64encode(CREDENTIALS.encode()), "garbled_signature"),
        (b"Bearer " + base64.b64encode(CREDENTIALS.encode()), "garbled_signature"),
        (b"", "missing_signature"),
    ],
)
def test_basic_takes_user_and_password_in_base64(value: bytes, reason: str | None) -> None:
    """As every HTTP client writes them; the scheme's name in any case."""
    assert _reason(UNSIGNED["basic"], PASSWORD, value) == reason


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"Bearer " + TOKEN.key, None),
        (b"BEARER " + TOKEN.key, None),
        (b"Bearer " + TOKEN.key.upper(), "bad_signature"),
        (b"Bearer " + TOKEN.key[:-1], "bad_signature"),
        (b"Bearer \xff", "bad_signature"),
        (TOKEN.key, "garbled_signature"),
    ],
)
def test_bearer_takes_the_token_as_it_is(value: bytes, reason: str | None) -> None:
    """Letter by letter; a token has no second spelling."""
    assert _reason(UNSIGNED["bearer"], TOKEN, value) == reason


def test_credentials_that_come_twice_are_refused() -> None:
    """A proxy may believe the one and we the other."""
    assert _reason(UNSIGNED["bearer"], TOKEN, *[b"Bearer " + TOKEN.key] * 2) == "repeated_signature"


def test_a_token_may_come_in_a_header_of_its_own() -> None:
    """The many platforms with an API key in some header need a table, and no code."""
    scheme = Scheme(algorithm="token", header="X-Api-Key", encoding="text", signed="")
    verify(scheme, b"{}", [(b"x-api-key", TOKEN.key)], [TOKEN], NOW)
    with pytest.raises(Refused, match="bad_signature"):
        verify(scheme, b"{}", [(b"x-api-key", TOKEN.key[1:])], [TOKEN], NOW)


def test_which_credential_was_used_is_recorded() -> None:
    """While a token is changed, the operator sees who has the new one; of no secret, the name is `none`."""
    old = Secret("env:OLD", b"o" * 32)
    headers = [(b"authorization", b"Bearer " + old.key)]
    assert verify(UNSIGNED["bearer"], b"{}", headers, [TOKEN, old], NOW).secret_name == "env:OLD"
    assert verify(UNSIGNED["none"], b"{}", [], [], NOW).secret_name == "none"


@given(body=st.binary(), headers=st.lists(st.tuples(st.binary(), st.binary())))
def test_without_a_scheme_everything_that_comes_in_is_taken(body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    """`none` is for senders that sign nothing: the fence around the source is all there is."""
    verify(UNSIGNED["none"], body, headers, [], NOW)


@pytest.mark.parametrize("scheme", sorted(UNSIGNED))
@pytest.mark.parametrize("fence", ["", 'allow_ips = ["0.0.0.0/0"]\n', 'allow_ips = ["192.0.2.0/24", "::/0"]\n'])
def test_a_source_that_signs_nothing_needs_a_fence(tmp_path: Path, scheme: str, fence: str) -> None:
    """Whoever guesses the path could write events; a network of everybody keeps nobody out."""
    with pytest.raises(SettingsError, match="proves nothing about the body; name the sender's networks in `allow_ips`"):
        _load(tmp_path, f'scheme = "{scheme}"\nsecrets = ["env:ACME"]\n{fence}')


@pytest.mark.parametrize("fence", ['allow_ips = ["192.0.2.0/24"]\n', 'path_token = "env:TOKEN"\n'])
@pytest.mark.parametrize(
    ("scheme", "says"),
    [
        ("basic", "signs nothing: whoever sees one request can write others"),
        ("bearer", "signs nothing: whoever sees one request can write others"),
        ("none", "proves neither the sender nor the body"),
    ],
)
def test_behind_a_fence_it_is_allowed_and_warned_of(tmp_path: Path, scheme: str, says: str, fence: str) -> None:
    """The owner may have no choice, and is told once what it means."""
    (warning,) = warnings_of(_load(tmp_path, f'scheme = "{scheme}"\nsecrets = ["env:ACME"]\n{fence}'))
    assert "source 'acme'" in warning
    assert says in warning
    assert warning.endswith(".")


def test_only_none_does_without_secrets(tmp_path: Path) -> None:
    """What the others would verify with has to be named."""
    fence = 'allow_ips = ["192.0.2.0/24"]\n'
    assert _load(tmp_path, f'scheme = "none"\n{fence}').sources["acme"].secrets == ()
    for scheme in ("basic", "bearer", "hmac-sha256-hex"):
        with pytest.raises(SettingsError, match="it names no secret, and the scheme needs one"):
            _load(tmp_path, f'scheme = "{scheme}"\n{fence}')


@pytest.mark.parametrize("scheme", ["hmac-sha256-hex", "github", "shopify", "rewardful"])
def test_a_scheme_that_signs_no_time_is_warned_of(tmp_path: Path, scheme: str) -> None:
    """A captured request verifies for ever; that it changes nothing is up to the ids."""
    (warning,) = warnings_of(_load(tmp_path, f'scheme = "{scheme}"\nsecrets = ["env:ACME"]\n'))
    assert "a captured request can be sent again; the event ids kept in raw are the defence." in warning


def test_short_secrets_are_warned_of_and_a_timed_signature_is_not(tmp_path: Path) -> None:
    """Nothing is said where there is nothing to say."""
    assert "takes secrets from 22 bytes on" in warnings_of(_load(tmp_path, 'scheme = "dub"\nsecrets = ["env:A"]\n'))[1]
    assert warnings_of(_load(tmp_path, 'scheme = "stripe"\nsecrets = ["env:A"]\n')) == []


def test_every_scheme_that_signs_nothing_is_documented_as_one() -> None:
    """Apart from the presets that sign, where nobody takes one for the other."""
    document = (Path(__file__).parent.parent / "docs" / "configuration.md").read_text(encoding="utf-8")
    section = document.partition("### Schemes that sign nothing\n")[2].partition("\n#")[0]
    assert set(re.findall(r"^\| `([a-z-]+)`", section, re.MULTILINE)) == UNSIGNED.keys()
