"""Whether one of a source's secrets signed a request. Pure: bytes and a clock value in, no effects."""

import base64
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ingest.errors import Refused
from ingest.sources import Scheme, Secret

_LONGEST_HEADER = 8_192
_UNIX_SECONDS = re.compile(rb"[0-9]{1,12}")


@dataclass(frozen=True, slots=True)
class Verified:
    """
    A genuine request.

    Attributes:
        secret_name: Of the secret that signed it; while a rotation is under way, it shows who has moved on.
    """

    secret_name: str


def verify(
    scheme: Scheme, body: bytes, headers: Sequence[tuple[bytes, bytes]], secrets: Sequence[Secret], now: datetime
) -> Verified:
    """
    Accept *body* as sent by a holder of one of *secrets*.

    Args:
        scheme: How the source signs.
        body: Exactly the bytes received; never parsed and written back, never decompressed.
        headers: As ASGI gives them: names in lower case, in the order received, repeats kept.
        secrets: Newest first; two while a rotation is under way.
        now: Timezone-aware. Where the scheme signs a time, one further away than its tolerance is refused.

    Raises:
        Refused: Whatever is wrong with the request - the only error that can leave this function.
    """
    value = _only(headers, scheme.header, "signature")
    parts = _parts(value, scheme.separator)
    timestamp = _timestamp(scheme, headers, parts)
    event_id = b"" if scheme.id_header is None else _only(headers, scheme.id_header, "signature")
    signatures = _signatures(scheme, parts)
    message = scheme.message(event_id, timestamp, body)
    for secret in secrets:
        expected = _encode(scheme, hmac.digest(secret.key, message, "sha256"))
        # The text is compared, not what it decodes to: there is then no decoder to disagree with, or to raise.
        matches = [hmac.compare_digest(expected, signature) for signature in signatures]
        if any(matches):
            _check_age(scheme, timestamp, now)
            return Verified(secret.name)
    raise Refused("bad_signature")


def _only(headers: Sequence[tuple[bytes, bytes]], name: str, what: str) -> bytes:
    wanted = name.encode()
    values = [value for key, value in headers if key == wanted]
    if not values or not values[0].strip():
        raise Refused(f"missing_{what}")
    if len(values) > 1:
        # Two parsers may each believe another one.
        raise Refused(f"repeated_{what}" if what == "signature" else f"garbled_{what}")
    if len(values[0]) > _LONGEST_HEADER:
        raise Refused(f"garbled_{what}")
    return values[0].strip()


def _parts(value: bytes, separator: str | None) -> list[bytes]:
    if separator is None:
        return [value]
    return [part.strip() for part in value.split(separator.encode())]


def _timestamp(scheme: Scheme, headers: Sequence[tuple[bytes, bytes]], parts: Sequence[bytes]) -> bytes:
    if scheme.timestamp_header is not None:
        value = _only(headers, scheme.timestamp_header, "timestamp")
    elif scheme.timestamp_prefix is not None:
        opening = scheme.timestamp_prefix.encode()
        values = [part.removeprefix(opening) for part in parts if part.startswith(opening)]
        if not values:
            raise Refused("missing_timestamp")
        if len(values) > 1:
            raise Refused("garbled_timestamp")
        value = values[0]
    else:
        return b""
    if not _UNIX_SECONDS.fullmatch(value):
        raise Refused("garbled_timestamp")
    return value


def _signatures(scheme: Scheme, parts: Sequence[bytes]) -> list[bytes]:
    opening = scheme.prefix.encode()
    signatures = [part.removeprefix(opening) for part in parts if part.startswith(opening)]
    if not signatures:
        raise Refused("garbled_signature")
    return [signature.lower() for signature in signatures] if scheme.encoding == "hex" else signatures


def _encode(scheme: Scheme, digest: bytes) -> bytes:
    return digest.hex().encode() if scheme.encoding == "hex" else base64.b64encode(digest)


def _check_age(scheme: Scheme, timestamp: bytes, now: datetime) -> None:
    if scheme.has_timestamp:
        age = now.timestamp() - int(timestamp)
        if age > scheme.tolerance_past_seconds or -age > scheme.tolerance_future_seconds:
            raise Refused("timestamp_out_of_tolerance")
