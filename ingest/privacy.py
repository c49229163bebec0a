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
_SUSPECT = re.compile(
    rb'"(?:customer|player|user|buyer|contact|ip|ip_address|user_agent|device_id|[^"]*mail[^"]*)"\s*:', re.IGNORECASE
)
_UNREADABLE_MEMBER = re.compile(
    rb'"(?:ip|ip_address|user_agent|device_id|[^"]*mail[^"]*|(?:first|last|full|customer)_?name)"\s*:\s*"(?:[^"\\]|\\.)*"?',
    re.IGNORECASE,
)


def without_personal_data(body: bytes, key: bytes | None) -> bytes:
    """
    Return *body* without personal data; the very same bytes where there is none.

    Args:
        body: As sent; need not be JSON. What cannot be parsed is searched as text.
        key: Of the hashes; None drops what would be hashed.
    """
    if not _SUSPECT.search(body):
        return body
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _UNREADABLE_MEMBER.sub(b'"removed":""', body)
    cleaned = _cleaned(document, key, is_person=False)
    return body if cleaned == document else orjson.dumps(cleaned)


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
