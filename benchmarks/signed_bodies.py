"""What is posted: distinct, valid, signed events of an exact size."""

import copy
import hashlib
import hmac
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.reading import read_event

SECRET = "benchmark-secret-of-more-than-32-bytes"  # noqa: S105  # signs nothing but the events made here
SIGNATURE_HEADER = "X-Webhook-Signature"

_TEMPLATE = Path(__file__).parent.parent / "tests" / "fixtures" / "events" / "08_commission.calculated.json"


@dataclass(frozen=True, slots=True)
class SignedBody:
    """
    One event as it is posted.

    Attributes:
        signature: HMAC-SHA256 of the body, in hex.
    """

    body: bytes
    signature: str


def signed_bodies(size: int, count: int) -> list[SignedBody]:
    """
    *count* calculated commissions of *size* bytes each, all with ids of their own.

    Raises:
        ValueError: *size* is less than the event itself takes.
        ContractViolation: What was made is no valid event.
    """
    template = json.loads(_TEMPLATE.read_bytes())
    return [_signed(_padded(template, number, size)) for number in range(count)]


def _padded(template: dict[str, Any], number: int, size: int) -> bytes:
    event = copy.deepcopy(template)
    event["id"] = f"evt_{number:05d}"
    event["data"]["commission"]["id"] = f"cm_{number:05d}"
    partner = event["data"]["partner"]
    partner["name"] = ""
    missing = size - len(_compact(event))
    if missing < 0:
        raise ValueError(f"An event takes {size - missing} bytes; {size} are too few.")
    partner["name"] = "x" * missing
    body = _compact(event)
    read_event(body)
    return body


def _compact(event: dict[str, Any]) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode()


def _signed(body: bytes) -> SignedBody:
    return SignedBody(body, hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest())
