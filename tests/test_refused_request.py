"""A refused request as it is kept: all that a later verification needs, and nothing of a person."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.privacy import without_personal_data
from ingest.refused_request import RefusedRequest, UnverifiedRequest
from ingest.sources import PRESETS, UNSIGNED, Scheme
from tests.refused_requests import HEX, unverified
from tests.running_receiver import EVENT_FILES

KEY = b"0123456789abcdef0123456789abcdef"
PERSONAL = b'{"customer": {"email": "ada@example.org"}, "device": {"ip": "203.0.113.7"}}'
NAMES = st.sampled_from(
    [
        *sorted({name.encode() for scheme in PRESETS.values() for name in scheme.header_names}),
        *(b"content-type", b"authorization", b"cookie", b"user-agent", b"x-forwarded-for", b"host", b"x-acme-digest"),
    ]
)
PERSONS_OWN = {"authorization", "cookie", "user-agent", "x-forwarded-for", "host"}


@pytest.mark.parametrize("path", EVENT_FILES, ids=lambda path: path.stem)
def test_an_event_of_the_contract_is_kept_to_the_byte(path: Path) -> None:
    """Whatever its type, its body can be verified as it stands."""
    body = path.read_bytes()
    kept = RefusedRequest.of(unverified(1, body), KEY)
    assert kept.body == body
    assert not kept.is_redacted


@given(
    body=st.one_of(st.binary(max_size=200), st.sampled_from([PERSONAL, gzip.compress(PERSONAL)])),
    headers=st.lists(st.tuples(NAMES, st.binary(max_size=20)), max_size=6),
)
def test_what_is_kept_is_read_back_and_holds_no_more_than_it_may(
    body: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    """Any bytes make one line; a header stays as it came or is gone, and a body as it came or cleaned."""
    request = unverified(1, body, headers)
    kept = RefusedRequest.of(request, KEY)
    line = kept.encode()
    assert line.count(b"\n") == 1
    assert RefusedRequest.decode(line) == kept
    assert set(kept.raw_headers) <= set(headers)
    assert not {name for name, _ in kept.headers} & PERSONS_OWN
    assert kept.is_redacted or kept.body == body
    assert b"ada@example.org" not in kept.body
    assert b"203.0.113.7" not in kept.body
    assert kept.body_bytes == len(body)


def test_a_body_with_personal_data_is_cleaned_and_says_so() -> None:
    """What is left can be read by people, and will never verify."""
    kept = RefusedRequest.of(unverified(1, PERSONAL), KEY)
    assert kept.is_redacted
    assert kept.body == without_personal_data(PERSONAL, KEY)
    assert set(json.loads(kept.body)) == {"customer", "device"}


def test_personal_data_does_not_hide_in_a_compressed_body() -> None:
    """It is unpacked to be looked at; one without personal data stays compressed, one with is kept clean and plain."""
    headers = [(b"content-encoding", b"gzip")]
    clean = gzip.compress(b'{"id": "evt_1"}')
    kept = RefusedRequest.of(unverified(1, clean, headers), None)
    assert (kept.body, kept.is_redacted, kept.raw_headers) == (clean, False, headers)
    cleaned = RefusedRequest.of(unverified(2, gzip.compress(PERSONAL), headers), None)
    assert (cleaned.body, cleaned.is_redacted, cleaned.headers) == (without_personal_data(PERSONAL, None), True, [])


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"no gzip", b"gzip"),
        (gzip.compress(PERSONAL)[:-9], b"gzip"),
        (gzip.compress(b"x" * (1 << 20) + PERSONAL), b"gzip"),
        (PERSONAL, b"br"),
    ],
    ids=["not compressed so", "cut short", "unpacks to too much", "unknown encoding"],
)
def test_a_body_that_cannot_be_looked_at_is_not_kept(body: bytes, encoding: bytes) -> None:
    """Nobody can say what is in it; that it came, when and why it was refused is kept all the same."""
    kept = RefusedRequest.of(unverified(1, body, [(b"content-encoding", encoding)]), None)
    assert kept.body == b""
    assert kept.is_redacted
    assert kept.body_bytes == len(body)


@pytest.mark.parametrize("name", PRESETS)
def test_the_headers_of_every_preset_are_kept_whatever_the_configuration_says(name: str) -> None:
    """The scheme may have been what was wrong."""
    headers = [(header.encode(), b"value") for header in sorted(PRESETS[name].header_names)]
    kept = RefusedRequest.of(unverified(1, headers=headers), None)
    assert kept.raw_headers == headers
    assert not kept.is_redacted


def test_a_header_that_nobody_configured_is_kept_if_it_speaks_of_signing() -> None:
    """So is that of a scheme of one's own, whatever it is called; others are not, for they may tell of a person."""
    own = Scheme(header="x-acme-proof", id_header="x-acme-key", signed="{id}.{body}")
    headers = [
        (b"x-acme-proof", b"1"), (b"x-acme-key", b"2"), (b"x-other-signature", b"3"), (b"x-other-timestamp", b"4"),
        (b"x-other-user", b"5"),
    ]  # fmt: skip
    kept = RefusedRequest.of(unverified(1, headers=headers, scheme=own), None)
    assert kept.raw_headers == headers[:4]
    assert RefusedRequest.of(unverified(1, headers=headers, scheme=HEX), None).raw_headers == headers[2:4]


@pytest.mark.parametrize("name", ["basic", "bearer"])
def test_a_credential_is_never_written(name: str) -> None:
    """A signature is of use for one body, a credential for all: without it, the request cannot be verified again."""
    headers = [(b"authorization", b"Bearer 0123456789abcdef0123456789abcdef")]
    kept = RefusedRequest.of(unverified(1, headers=headers, scheme=UNSIGNED[name]), None)
    assert kept.headers == []
    assert kept.is_redacted
    token = Scheme(algorithm="token", header="x-acme-signature", encoding="text", signed="")
    kept = RefusedRequest.of(unverified(1, headers=[(b"x-acme-signature", b"the token")], scheme=token), None)
    assert kept.headers == []
    assert kept.is_redacted


def test_a_credential_that_nobody_asked_for_changes_nothing() -> None:
    """A signed request that carries one besides is kept without it, and can be verified."""
    kept = RefusedRequest.of(unverified(1, headers=[(b"authorization", b"Bearer 1"), (b"cookie", b"2")]), None)
    assert kept.headers == []
    assert not kept.is_redacted


def test_the_url_is_kept_where_the_signature_covers_it() -> None:
    """Only there; where it must not be written, the request cannot be verified again."""
    hubspot = PRESETS["hubspot-v3"]
    with_url = {"url": "https://hooks.example.com/webhooks/acme"}
    assert RefusedRequest.of(_with(hubspot, **with_url), None).url == with_url["url"]
    assert RefusedRequest.of(_with(HEX, **with_url), None).url is None
    assert not RefusedRequest.of(_with(HEX), None).is_redacted
    assert RefusedRequest.of(_with(hubspot), None).is_redacted


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"1", b"null", b"{}", b'{"delivery_id": "x"}', b'{"a": 1}'])
def test_a_line_that_holds_no_request_is_told_as_such(line: bytes) -> None:
    """One kind of error, whatever is wrong with it."""
    with pytest.raises(ValueError, match=r".+"):
        RefusedRequest.decode(line)


def _with(scheme: Scheme, url: str | None = None) -> UnverifiedRequest:
    return replace(unverified(1, scheme=scheme), url=url)
