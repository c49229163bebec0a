"""Whether one of a source's secrets signed a request. Pure: bytes and a clock value in, no effects."""

import binascii
import hmac
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from ingest.errors import Refused
from ingest.signing_plan import HeaderFamily, SigningPlan
from ingest.sources import Scheme, Secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Headers = Sequence[tuple[bytes, bytes]]

_LONGEST_HEADER = 8_192
# Each costs fifty times an HMAC, and a stranger may send as many as a header holds; a rotation needs two.
_MOST_ED25519_SIGNATURES = 4

_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Verified:
    """
    A request that verified.

    Attributes:
        secret_name: Of the secret that signed it; while a rotation is under way, it shows who has moved on. "none"
            where the scheme asks for none.
    """

    secret_name: str


_UNPROVEN = Verified("none")
_verified = lru_cache(maxsize=1024)(Verified)


def verify(
    scheme: Scheme,
    body: bytes,
    headers: Headers,
    secrets: Sequence[Secret],
    now: datetime,
    *,
    method: str = "POST",
    url: str = "",
) -> Verified:
    """
    Accept *body* as sent by a holder of one of *secrets*.

    Args:
        scheme: How the source signs.
        body: Exactly the bytes received; never parsed and written back, never decompressed.
        headers: As ASGI gives them: names in lower case, in the order received, repeats kept.
        secrets: Newest first; two while a rotation is under way.
        now: Timezone-aware. Where the scheme signs a time, one further away than its tolerance is refused.
        method: As received.
        url: As the sender wrote it, `https://host/path?query`; read where `scheme.covers_url` only.

    Raises:
        Refused: Whatever is wrong with the request - the only error that can leave this function.
    """
    plan = scheme.plan
    if plan.is_open:
        return _UNPROVEN
    time: float | None = None
    message: Sequence[bytes] = (body,)
    public_signatures: Sequence[bytes] = ()
    if plan.is_plain:
        value = _only(headers, plan.families[0].header, "signature")
        if not value.startswith(plan.prefix):
            raise Refused("garbled_signature")
        signature = value[len(plan.prefix) :]
        signatures: Sequence[bytes] = (signature.lower() if plan.is_hex else signature,)
    else:
        names = _family(plan.families, headers)
        value = _only(headers, names.header, "signature")
        parts = [value] if plan.separator is None else [part.strip() for part in value.split(plan.separator)]
        timestamp = _timestamp(plan, names, headers, parts)
        time = _time(plan, timestamp)
        event_id = b"" if names.id_header is None else _only(headers, names.id_header, "signature")
        signatures, public_signatures = _signatures(plan, parts)
        message = _message(plan, body, event_id, timestamp, method, url)
    for secret in secrets:
        if secret.is_public:
            is_signed = _has_signed(plan, secret.key, message, public_signatures)
        else:
            expected = _expected(plan, secret.key, message)
            # The text is compared, not what it decodes to: there is then no decoder to disagree with, or to raise.
            is_signed = False
            for signature in signatures:
                is_signed |= hmac.compare_digest(expected, signature)
        if is_signed:
            if time is not None:
                _check_age(plan, time, now)
            return _verified(secret.name)
    raise Refused("bad_signature")


def _family(families: Sequence[HeaderFamily], headers: Headers) -> HeaderFamily:
    # One family is read whole: of a mixture nobody could say what was signed.
    if len(families) == 1:
        return families[0]
    sent = {name for name, _ in headers}
    return next((each for each in families if each.header in sent), families[0])


def _only(headers: Headers, wanted: bytes, what: str) -> bytes:
    found = None
    is_repeated = False
    for name, value in headers:
        if name == wanted:
            is_repeated = found is not None
            if found is None:
                found = value
    if found is None or not (stripped := found.strip()):
        raise Refused(f"missing_{what}")
    if is_repeated:
        # Two parsers may each believe another one.
        raise Refused(f"repeated_{what}" if what == "signature" else f"garbled_{what}")
    if len(found) > _LONGEST_HEADER:
        raise Refused(f"garbled_{what}")
    return stripped


def _timestamp(plan: SigningPlan, names: HeaderFamily, headers: Headers, parts: Sequence[bytes]) -> bytes:
    if names.timestamp_header is not None:
        return _only(headers, names.timestamp_header, "timestamp")
    if plan.timestamp_prefix is None:
        return b""
    values = _opened(plan.timestamp_prefix, parts)
    if not values:
        raise Refused("missing_timestamp")
    if len(values) > 1:
        raise Refused("garbled_timestamp")
    return values[0]


def _signatures(plan: SigningPlan, parts: Sequence[bytes]) -> tuple[Sequence[bytes], Sequence[bytes]]:
    """Those by secret keys, and those by Ed25519 keys."""
    if plan.is_token:
        # The name of an authentication scheme is written in any case.
        opening = len(plan.prefix)
        secret = [part[opening:].lstrip() for part in parts if part[:opening].lower() == plan.prefix.lower()]
    else:
        secret = [] if plan.digest is None else _opened(plan.prefix, parts)
    public = [] if plan.public_prefix is None else _opened(plan.public_prefix, parts)
    if not (secret or public) or len(public) > _MOST_ED25519_SIGNATURES:
        raise Refused("garbled_signature")
    return [each.lower() for each in secret] if plan.is_hex else secret, public


def _opened(prefix: bytes, parts: Sequence[bytes]) -> list[bytes]:
    return [part[len(prefix) :] for part in parts if part.startswith(prefix)]


def _message(
    plan: SigningPlan, body: bytes, event_id: bytes, timestamp: bytes, method: str, url: str
) -> Sequence[bytes]:
    values = {"id": event_id, "timestamp": timestamp, "body": body}
    if plan.covers_request_line:
        values["method"] = method.encode("utf-8", "surrogatepass")
        values["url"] = plan.url(url)
    return [values[part] if isinstance(part, str) else part for part in plan.signed]


def _expected(plan: SigningPlan, key: bytes, message: Sequence[bytes]) -> bytes:
    if plan.digest is None:
        digest = key
    else:
        authenticated = _keyed(key, plan.digest).copy()
        for part in message:
            authenticated.update(part)
        digest = authenticated.digest()
    if plan.is_hex:
        return binascii.hexlify(digest)
    return digest if plan.is_text else binascii.b2a_base64(digest, newline=False)


# A key is hashed once and not with each request, and no body is copied to stand behind what is signed before it.
@lru_cache(maxsize=1024)
def _keyed(key: bytes, digest: str) -> hmac.HMAC:
    return hmac.new(key, digestmod=digest)


def _has_signed(plan: SigningPlan, key: bytes, message: Sequence[bytes], signatures: Sequence[bytes]) -> bool:
    if not signatures:
        return False
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415  # few schemes need it, and it is slow

    text = b"".join(message)
    for signature in signatures:
        try:
            decoded = binascii.unhexlify(signature) if plan.is_hex else binascii.a2b_base64(signature, strict_mode=True)
        except ValueError:
            continue
        with suppress(InvalidSignature):
            _public(key).verify(decoded, text)
            return True
    return False


@lru_cache(maxsize=1024)
def _public(key: bytes) -> "Ed25519PublicKey":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415  # as above

    return Ed25519PublicKey.from_public_bytes(key)


def _time(plan: SigningPlan, timestamp: bytes) -> float | None:
    """Seconds since 1970; None where the scheme signs no time."""
    if plan.time_pattern is None:
        return None
    if not plan.time_pattern.fullmatch(timestamp):
        raise Refused("garbled_timestamp")
    if not plan.is_rfc3339:
        return int(timestamp) / plan.ticks
    try:
        return (datetime.fromisoformat(timestamp.decode().upper()) - _EPOCH).total_seconds()
    except ValueError:
        raise Refused("garbled_timestamp") from None


def _check_age(plan: SigningPlan, time: float, now: datetime) -> None:
    age = now.timestamp() - time
    if age > plan.past_seconds or -age > plan.future_seconds:
        raise Refused("timestamp_out_of_tolerance")
