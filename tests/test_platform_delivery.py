"""Platforms' payloads at the door: what is staged of them, and what is kept of those that are refused."""

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.delivery import Delivery
from ingest.door import Door, Source, sources_of
from ingest.platform_delivery import platform_line
from ingest.refused_request import RefusedRequest
from ingest.reverify import judge_of
from ingest.secrets import SourceSecrets
from ingest.settings import load_settings
from ingest.sources import Secret
from mappings.mapping_file import builtin_text
from tests.platform_payloads import NAMES, PERSONAL, PLATFORMS, PRIVACY_KEY, mapping_of
from tests.refused_requests import NOW, unverified

KEY = b"d" * 32
CONFIGURATION = '[sources.acme]\nscheme = "dub"\nsecrets = ["env:ACME"]\nmapping = "own.toml"\n'
WITHOUT_PEOPLE = json.dumps(
    {
        "id": "evt_1", "event": "partner.merged", "createdAt": "2026-07-01T09:00:00.000Z",
        "data": {"sourcePartner": {"id": "pn_8"}, "targetPartner": {"id": "pn_1"}},
    }
).encode()  # fmt: skip


def sources(directory: Path) -> dict[str, Source]:
    """The sources of the configuration in *directory*, as a receiver reads them."""
    settings = load_settings(directory / "hookmart.toml", {})
    return sources_of(settings, {"acme": SourceSecrets((Secret("env:ACME", KEY),))})


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "hookmart.toml").write_text(CONFIGURATION)
    (tmp_path / "own.toml").write_text(builtin_text("dub"))
    return tmp_path


def refused(body: bytes, mapping_name: str | None = "dub") -> RefusedRequest:
    """A request to `acme` that was refused under another secret, as it is kept."""
    signature = hmac.new(KEY, body, hashlib.sha256).hexdigest().encode()
    personal = None if mapping_name is None else mapping_of(mapping_name).personal
    return RefusedRequest.of(replace(unverified(1, body, [(b"dub-signature", signature)]), personal=personal), None)


def test_a_mapping_is_read_again_with_the_configuration(directory: Path) -> None:
    """A correction counts after a reload; one that cannot be used leaves what was read before."""
    door = Door(lambda: sources(directory))
    before = door.sources["acme"].mapping
    text = builtin_text("dub")
    (directory / "own.toml").write_text(text.replace('"link.created", ', ""))
    door.reload()
    after = door.sources["acme"].mapping
    assert before is not None
    assert after is not None
    assert before.ignored - after.ignored == {"link.created"}
    (directory / "own.toml").write_text(text.replace('to = "click.tracked"', 'to = "click.seen"'))
    with pytest.raises(Exception, match=r"sources\.acme\.mapping.*'click\.seen' is no event of the contract"):
        door.reload()
    assert door.sources["acme"].mapping is after


def test_a_refused_payload_that_verifies_later_is_mapped(directory: Path) -> None:
    """Where nothing personal was taken out, it is judged again like any other, by the mapping of today."""
    (line,) = judge_of(sources(directory), PRIVACY_KEY)(refused(WITHOUT_PEOPLE))
    assert (line.outcome, line.event_id, line.event_type) == ("accepted", "evt_1", "dub:partner.merged")


def test_a_refused_payload_is_kept_without_what_its_platform_says_of_people() -> None:
    """Also where only the mapping knows that it is personal; such a request cannot be verified again."""
    body = (PLATFORMS / "firstpromoter" / "referral-created.json").read_bytes()
    kept = base64.b64decode(refused(body, "firstpromoter").body_base64).lower()
    assert not [marker for marker in PERSONAL if marker in kept]
    assert b"pia" not in kept
    assert b"pia" in base64.b64decode(refused(body, None).body_base64).lower()
    assert refused(body, "firstpromoter").is_redacted


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=30, deadline=None)
@given(body=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_body_is_staged(name: str, body: bytes) -> None:
    """A genuine request is never turned away: bytes that nobody understands wait, whole and countable."""
    line = platform_line(Delivery("acme"), NOW, "env:ACME", body, mapping_of(name), PRIVACY_KEY)
    assert line.outcome == "quarantined"
    assert line.reason
    assert line.event_type == f"{name}:?"
    assert line.body_sha256 == hashlib.sha256(body).hexdigest()
    assert type(line).decode(line.encode()) == line
