"""
Personal data goes out before anything is written.

The contract has no name and no e-mail address of a customer: where a sender puts one, it is dropped. What identifies a
connection or a device (`ip`, `user_agent`, `device_id`) is replaced by a keyed hash under the contract's name for it,
so that equal values can still be told; without a key it is dropped too.
"""

import hmac
import re
from typing import Any

import orjson

HASHED: dict[str, str] = {
    "ip": "ip_hash",
    "ip_address": "ip_hash",
    "user_agent": "user_agent_hash",
    "device_id": "fingerprint_hash",
}
"""What is never kept as sent, and the name that its hash gets where it stands."""

_PEOPLE = frozenset({"customer", "player", "user", "buyer", "contact"})
_KEPT_HASH = "email_hash"
_HASHED_NAMES = tuple(f'"{name}"'.encode() for name in HASHED)
_PEOPLES_NAMES = tuple(f'"{name}"'.encode() for name in sorted(_PEOPLE))
_SUSPECT_NAMES = re.compile(rb'"(?:ip|ip_address|user_agent|device_id)"\s*:')
_PERSON = re.compile(rb'"(?:customer|player|user|buyer|contact)"\s*:\s*(?:\{([^{}\[\]]*)\}|[\[{])')
# Possessive throughout: anyone may send what this looks through, and it must not be made to look twice.
_UNREADABLE_MEMBER = re.compile(rb'"([^"]*+)"\s*+:\s*+(?:"(?:[^"\\]|\\.)*+"?+|[^"\s,\[\]{}]++)', re.DOTALL)
_ESCAPE = re.compile(rb"\\u00([0-7][0-9a-f])", re.IGNORECASE)


def without_personal_data(body: bytes, key: bytes | None) -> bytes:
    """
    Return *body* without personal data; the very same bytes where there is none.

    Args:
        body: As sent; need not be JSON. What cannot be parsed is searched as text.
        key: Of the hashes; None drops what would be hashed.
    """
    if not _may_hold_personal_data(body):
        return body
    try:
        document = orjson.loads(body)
        cleaned = document_without_personal_data(document, key)
        return body if cleaned == document else orjson.dumps(cleaned)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError, RecursionError):  # no JSON, or nested too deep to write
        return unreadable_without_personal_data(body)


def document_without_personal_data(document: Any, key: bytes | None) -> Any:
    """Return parsed JSON without personal data; *document* stays as it is."""
    return _cleaned(document, key, is_person=False)


def unreadable_without_personal_data(body: bytes) -> bytes:
    """Return *body*, which no parser reads, without what looks like a member that holds personal data."""
    return _UNREADABLE_MEMBER.sub(_kept_member, body)


def _may_hold_personal_data(body: bytes) -> bool:
    """Whether it is worth parsing *body*: never a wrong no, and at a tenth of the price."""
    lower = body.lower()
    if b"\\u00" in lower:  # a name may be spelled with escapes
        return True
    if lower.count(b"mail") != lower.count(b'"email_hash"'):
        return True
    for name in _HASHED_NAMES:
        if name in lower and _SUSPECT_NAMES.search(lower):
            return True
    for name in _PEOPLES_NAMES:
        found = lower.find(name)
        while found >= 0:
            # An object that holds another is not looked into here.
            person = _PERSON.match(lower, found)
            if person is not None and (person[1] is None or b"name" in person[1]):
                return True
            found = lower.find(name, found + 1)
    return False


def _kept_member(found: re.Match[bytes]) -> bytes:
    # Whose name it is cannot be told here, so all of them go.
    name = _ESCAPE.sub(lambda escape: bytes.fromhex(escape[1].decode()), found[1]).decode("latin-1").lower()
    is_personal = name in HASHED or _names_a_person(name, is_person=True)
    return b'"removed":""' if is_personal else found[0]


def _cleaned(node: Any, key: bytes | None, *, is_person: bool) -> Any:
    if isinstance(node, list):
        return [_cleaned(each, key, is_person=is_person) for each in node]
    if not isinstance(node, dict):
        return node
    kept: dict[str, Any] = {}
    hashes: dict[str, str] = {}
    for name, value in node.items():
        lower = name.lower()
        if lower in HASHED:
            if key is not None and isinstance(value, str):
                hashes.setdefault(HASHED[lower], hmac.digest(key, value.encode(), "sha256").hex())
        elif not _names_a_person(lower, is_person=is_person):
            kept[name] = _cleaned(value, key, is_person=is_person or lower in _PEOPLE)
    for name, digest in hashes.items():
        if kept.get(name) is None:
            kept[name] = digest
    return kept


def _names_a_person(name: str, *, is_person: bool) -> bool:
    return ("mail" in name and name != _KEPT_HASH) or (is_person and "name" in name)
