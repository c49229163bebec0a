"""The headers by which a sender proves a request: the other side of `ingest.verify`, from the same schemes."""

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from ingest.signing_plan import SigningPlan
from ingest.sources import Scheme, Secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

Headers = list[tuple[str, str]]

_SAFE_ID = re.compile(r"[!-~]{1,200}")


class CannotSign(Exception):
    """No request can be signed so. The message is a full sentence that says why."""


@dataclass(frozen=True, slots=True)
class Signer:
    """
    Signs by one scheme with one secret.

    Attributes:
        secret: None where the scheme asks for none.
        is_private: Whether it is the key of Ed25519 signatures that the platform alone has.
    """

    scheme: Scheme
    secret: Secret | None
    is_private: bool = False

    @classmethod
    def of(cls, scheme: Scheme, secrets: Sequence[Secret], signing_key: str | None = None) -> Self:
        """
        Return the signer with the first of *secrets* that can sign.

        Args:
            signing_key: The private key to one of *secrets*, to sign with instead: what `whsk_` opens, base64 or hex of
                its 32 bytes, or PEM.

        Raises:
            CannotSign: None can: they are public keys, or there are none; or the *signing_key* is the key to none.
        """
        if signing_key is not None:
            return cls(scheme, _private(scheme, secrets, signing_key), is_private=True)
        if not scheme.needs_secret:
            return cls(scheme, None)
        for secret in secrets:
            if not secret.is_public:
                return cls(scheme, secret)
        raise CannotSign(
            "What is configured are public keys, and only the platform has the private one; say --signing-key with that"
            " of a pair of your own, or add a secret of the kind that both sides know."
            if secrets
            else "The scheme needs a secret, and there is none."
        )

    def headers(
        self, body: bytes, event_id: str, at: datetime, *, method: str = "POST", url: str = "", time: str | None = None
    ) -> Headers:
        """
        Return the headers that prove *body*, names in lower case.

        Args:
            body: Exactly the bytes to be posted.
            event_id: Signed where the scheme has an id; the same on every attempt.
            at: Timezone-aware; signed where the scheme has a time.
            url: As posted to, `https://host/path?query`.
            time: In place of *at*, as it stands; for what no honest sender would write.
        """
        plan = self.scheme.plan
        if plan.is_open or self.secret is None:
            return []
        if plan.is_token:
            return [(self.scheme.header, plan.prefix.decode() + _encoded(plan, self.secret.key))]
        written_id = message_id(event_id)
        written_time = _time(plan, at) if time is None else time
        message = _message(plan, body, written_id, written_time, method, url)
        if self.is_private:
            signature = (plan.public_prefix or b"").decode() + _encoded(plan, _key(self.secret.key).sign(message))
        else:
            signature = plan.prefix.decode() + _encoded(plan, _digest(plan, self.secret.key, message))
        if plan.timestamp_prefix is not None and plan.separator is not None:
            signature = f"{plan.timestamp_prefix.decode()}{written_time}{plan.separator.decode()}{signature}"
        headers = [(self.scheme.header, signature)]
        if self.scheme.timestamp_header is not None:
            headers.append((self.scheme.timestamp_header, written_time))
        if self.scheme.id_header is not None:
            headers.append((self.scheme.id_header, written_id))
        return headers


def _private(scheme: Scheme, secrets: Sequence[Secret], text: str) -> Secret:
    if scheme.plan.public_prefix is None:
        raise CannotSign("The scheme has no Ed25519 signatures, so there is nothing to sign with a private key.")
    seed = _seed(text)
    public = _key(seed).public_key().public_bytes_raw()
    if not any(secret.is_public and secret.key == public for secret in secrets):
        raise CannotSign("The signing key is the private key to none of the source's public keys; take the other half.")
    return Secret("the signing key", seed)


def _seed(text: str) -> bytes:
    """Return the 32 bytes of a private key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415  # slow, and rare
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    text = text.strip()
    try:
        if text.startswith("-----BEGIN"):
            key = load_pem_private_key(text.encode(), None)
            seed = key.private_bytes_raw() if isinstance(key, Ed25519PrivateKey) else b""
        elif re.fullmatch(r"[0-9A-Fa-f]{64}|[0-9A-Fa-f]{128}", text):
            seed = bytes.fromhex(text)
        else:
            seed = base64.b64decode(text.removeprefix("whsk_"), validate=True)
    except (ValueError, TypeError):
        seed = b""
    # In some writings the public key follows.
    if len(seed) not in {32, 64}:
        raise CannotSign(
            "The signing key is no private key of Ed25519: write what `whsk_` opens, base64 or hex of its 32 bytes, or"
            " PEM."
        )
    return seed[:32]


def _key(seed: bytes) -> "Ed25519PrivateKey":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    return Ed25519PrivateKey.from_private_bytes(seed)


def message_id(event_id: str) -> str:
    """Return *event_id* as a header may carry it: itself, or a hash of it where no header could."""
    return event_id if _SAFE_ID.fullmatch(event_id) else f"sha256:{hashlib.sha256(event_id.encode()).hexdigest()}"


def _time(plan: SigningPlan, at: datetime) -> str:
    if plan.is_rfc3339:
        return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return str(int(at.timestamp() * plan.ticks))


def _message(plan: SigningPlan, body: bytes, event_id: str, time: str, method: str, url: str) -> bytes:
    if plan.is_plain:
        return body
    values = {"id": event_id.encode(), "timestamp": time.encode(), "method": method.encode(), "body": body}
    values["url"] = plan.url(url) if plan.covers_request_line else b""
    return b"".join(values[part] if isinstance(part, str) else part for part in plan.signed)


def _digest(plan: SigningPlan, key: bytes, message: bytes) -> bytes:
    if plan.digest is None:
        raise CannotSign("The scheme's signatures are by a private key, which only the platform has.")
    return hmac.digest(key, message, plan.digest)


def _encoded(plan: SigningPlan, value: bytes) -> str:
    if plan.is_hex:
        return value.hex()
    return value.decode("latin-1") if plan.is_text else base64.b64encode(value).decode()
