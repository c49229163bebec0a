"""Personal data is out before anything is written."""

import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.privacy import without_personal_data
from models.reading import read_event
from tests.running_receiver import CONFIGURATION, EVENT_FILES, RunningReceiver

KEY = b"0123456789abcdef0123456789abcdef"
SECRETS = ("Ada Lovelace", "ada@example.org", "203.0.113.7", "Mozilla/5.0 (X11)", "device-4711")


def conversion(**changes: dict[str, Any]) -> dict[str, Any]:
    """The example conversion, with members added to its objects."""
    event: dict[str, Any] = json.loads(EVENT_FILES[3].read_bytes())
    for name, members in changes.items():
        event["data"][name] = {**event["data"][name], **members}
    return event


def hashed(value: str) -> str:
    """What stands in the place of *value*."""
    return hmac.digest(KEY, value.encode(), "sha256").hex()


@pytest.mark.parametrize("path", EVENT_FILES, ids=lambda path: path.stem)
def test_an_event_without_personal_data_is_kept_to_the_byte(path: Path) -> None:
    """What keeps to the contract is stored exactly as it was signed."""
    assert without_personal_data(path.read_bytes(), KEY) == path.read_bytes()


def test_names_and_addresses_of_a_customer_are_dropped() -> None:
    """However deep they stand; the rest of the customer stays."""
    event = conversion(customer={"name": SECRETS[0], "Email": SECRETS[1], "contact": {"last_name": SECRETS[0]}})
    cleaned = json.loads(without_personal_data(json.dumps(event).encode(), KEY))
    assert cleaned["data"]["customer"] == {**conversion()["data"]["customer"], "contact": {}}
    assert cleaned["data"]["partner"] == event["data"]["partner"]


def test_what_identifies_a_device_is_hashed_under_the_contracts_name() -> None:
    """The same address gives the same hash, so that shared devices can still be told; a hash that was sent stays."""
    event = conversion(device={"ip_hash": None, "ip": SECRETS[2], "user_agent": SECRETS[3], "device_id": SECRETS[4]})
    device = json.loads(without_personal_data(json.dumps(event).encode(), KEY))["data"]["device"]
    assert device["ip_hash"] == hashed(SECRETS[2])
    assert device["user_agent_hash"] == event["data"]["device"]["user_agent_hash"]
    assert not {"ip", "user_agent", "device_id"} & set(device)


def test_without_a_key_it_is_dropped() -> None:
    """A hash without a key could be looked up."""
    event = conversion(device={"ip_hash": None, "ip": SECRETS[2]})
    device = json.loads(without_personal_data(json.dumps(event).encode(), None))["data"]["device"]
    assert device["ip_hash"] is None
    assert "ip" not in device


@pytest.mark.parametrize("key", [KEY, None])
@given(data=st.data())
def test_no_broken_body_keeps_it(key: bytes | None, data: st.DataObject) -> None:
    """A body cut anywhere, which no parser reads, is searched as text."""
    event = conversion(device={"ip": SECRETS[2], "user_agent": SECRETS[3]}, customer={"email": SECRETS[1]})
    body = json.dumps(event).encode()
    cut = body[: data.draw(st.integers(0, len(body)))]
    cleaned = without_personal_data(cut, key)
    for secret in SECRETS:
        assert secret.encode() not in cleaned


@pytest.mark.parametrize("key", [KEY, None])
@pytest.mark.parametrize("depth", [300, 900])
def test_a_body_too_deep_to_be_written_again_is_searched_as_text(key: bytes | None, depth: int) -> None:
    """It can be parsed, but not cleaned as JSON: what names a person goes all the same, and nobody gets an error."""
    person = {"name": SECRETS[0], "email": SECRETS[1], "ip": SECRETS[2], "device_id": 1234567}
    body = json.dumps({"customer": person}).encode()[:-1] + b', "deep": ' + b"[" * depth + b"]" * depth + b"}"
    cleaned = without_personal_data(body, key)
    for secret in (*SECRETS[:3], "1234567"):
        assert secret.encode() not in cleaned


@given(body=st.binary(max_size=200))
def test_any_bytes_are_taken(body: bytes) -> None:
    """Whatever the bytes, it returns."""
    assert isinstance(without_personal_data(body + b'"ip":', KEY), bytes)


def test_nothing_of_it_reaches_the_disk(tmp_path: Path) -> None:
    """Accepted or quarantined, with a key: no file of the stage holds a value, and equal devices have equal hashes."""
    event = conversion(device={"ip_hash": None, "ip": SECRETS[2]}, customer={"name": SECRETS[0], "email": SECRETS[1]})
    unknown = {**event, "id": "evt_unknown", "type": "conversion.doubted"}
    settings = CONFIGURATION + '\n[privacy]\nkey = "file:privacy.key"\n'
    (tmp_path / "privacy.key").write_bytes(KEY)
    with RunningReceiver(tmp_path, settings) as receiver:
        assert receiver.post(json.dumps(event).encode()).json()["status"] == "accepted"
        assert receiver.post(json.dumps(unknown).encode()).json()["status"] == "quarantined"
        lines = receiver.staged_after_stop()
    for line in lines:
        assert line.payload
        assert hashed(SECRETS[2]) in line.payload
    read_event((lines[0].payload or "").encode())
    for path in (tmp_path / "var").rglob("*"):
        if path.is_file():
            for secret in SECRETS:
                assert secret.encode() not in path.read_bytes()
