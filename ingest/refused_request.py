"""
A request that was not proven genuine, as it is kept: what a later verification needs, and nothing of a person.

A body goes to the disk as it was sent only if it holds no personal data. Otherwise it is cleaned, which no signature
survives, and the request says so: it can be looked at and never be verified. Of the headers only those stay that a
signature may be made of, never a credential; the client's address and the like are not kept at all.
"""

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Self

import orjson

from ingest.compression import content_encoding, decompressed
from ingest.delivery import rfc3339
from ingest.errors import Refused
from ingest.platform_privacy import without_platform_personal_data
from ingest.privacy import without_personal_data
from ingest.sources import PRESETS, Scheme
from mappings.personal import PersonalData

_CREDENTIALS = frozenset({b"authorization", b"proxy-authorization", b"cookie"})
_CONTENT_TYPE, _CONTENT_ENCODING = b"content-type", b"content-encoding"
# The header's name in the configuration may have been what was wrong.
_SPEAKS_OF_SIGNING = re.compile(rb"sign|hmac|digest|timestamp")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnverifiedRequest:
    """
    A request as it came, on its way to be kept.

    Attributes:
        delivery_id: Under which its refusal is recorded.
        scheme: Of its source.
        max_decompressed_bytes: To which a compressed body is unpacked, to look for personal data.
        received_at: Timezone-aware.
        reason: A key of `ingest.errors.REFUSALS`.
        headers: As ASGI gives them: names in lower case, in the order received, repeats kept.
        body: As sent, compressed if it was.
        personal: Where the source's platform keeps personal data; None where it speaks the contract.
        url: As its sender wrote it, where the signature covers it; None where it must not be written, as with a token
            in its path.
    """

    delivery_id: str
    source_id: str
    scheme: Scheme
    max_decompressed_bytes: int
    received_at: datetime
    reason: str
    headers: list[tuple[bytes, bytes]]
    body: bytes
    method: str = "POST"
    personal: PersonalData | None = None
    url: str | None = None

    @property
    def size(self) -> int:
        """Bytes that it holds while it waits."""
        return len(self.body) + sum(len(name) + len(value) for name, value in self.headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedRequest:
    """
    A request as it is kept: one line of JSON.

    Attributes:
        received_at: RFC 3339 in UTC with microseconds and "Z".
        url: Only where the source's signature covers it.
        headers: As sent, as Latin-1 text; those of signatures and the content's type and encoding only.
        body_base64: The body, without personal data.
        is_redacted: Something is left out that a verification would need.
        body_bytes: Of the body as sent.
    """

    delivery_id: str
    source_id: str
    received_at: str
    reason: str
    method: str
    url: str | None
    headers: list[list[str]]
    body_base64: str
    is_redacted: bool
    body_bytes: int

    @classmethod
    def of(cls, request: UnverifiedRequest, key: bytes | None) -> Self:
        """
        Return what may be kept of *request*.

        Args:
            key: Of the hashes that take the place of personal data; None drops it.
        """
        scheme = request.scheme
        names, withheld = _header_names(scheme)
        kept = _kept_body(request, key)
        return cls(
            delivery_id=request.delivery_id,
            source_id=request.source_id,
            received_at=rfc3339(request.received_at),
            reason=request.reason,
            method=request.method,
            url=request.url if scheme.covers_url else None,
            headers=[
                [name.decode("latin-1"), value.decode("latin-1")]
                for name, value in request.headers
                if name not in _CREDENTIALS
                and name not in withheld
                and (name in names or _SPEAKS_OF_SIGNING.search(name))
                and (name != _CONTENT_ENCODING or kept is request.body)
            ],
            body_base64=base64.b64encode(kept).decode(),
            is_redacted=(
                kept is not request.body
                or (scheme.covers_url and request.url is None)
                or any(name in withheld for name, _ in request.headers)
            ),
            body_bytes=len(request.body),
        )

    @property
    def body(self) -> bytes:
        """The body that is kept."""
        return base64.b64decode(self.body_base64)

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """The headers that are kept, as ASGI gave them."""
        return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self.headers]

    def encode(self) -> bytes:
        """The line as it stands in a segment, newline included."""
        return orjson.dumps(self, option=orjson.OPT_APPEND_NEWLINE)

    @classmethod
    def decode(cls, line: bytes) -> Self:
        """
        Return the request that *line* was made from.

        Raises:
            ValueError: It was made from none.
        """
        try:
            return cls(**orjson.loads(line))
        except TypeError as error:
            raise ValueError(f"no refused request: {error}") from None


@lru_cache
def _header_names(scheme: Scheme) -> tuple[frozenset[bytes], frozenset[bytes]]:
    """Return the headers to keep besides those that speak of signing, and those that *scheme* reads and may not."""
    own = _encoded(scheme.header_names)
    withheld = own & _CREDENTIALS if scheme.covers_body else own
    # Another scheme may turn out to be the right one.
    of_presets = frozenset[bytes]().union(*(_encoded(preset.header_names) for preset in PRESETS.values()))
    return own | of_presets | {_CONTENT_TYPE, _CONTENT_ENCODING}, withheld


def _encoded(names: Iterable[str]) -> frozenset[bytes]:
    return frozenset(name.encode() for name in names)


def _kept_body(request: UnverifiedRequest, key: bytes | None) -> bytes:
    """Return the very body where it may be written as sent; else what may be written in its place."""
    try:
        encoding = content_encoding(request.headers)
        plain = (
            request.body if encoding is None else decompressed(request.body, encoding, request.max_decompressed_bytes)
        )
        if request.personal is None:
            cleaned = without_personal_data(plain, key)
        else:
            cleaned = without_platform_personal_data(plain, key, request.personal)
    except (Refused, RecursionError, TypeError):
        # Broken compression, or JSON nested too deep to be cleaned: nobody can say what is in it.
        return b""
    return request.body if cleaned == plain else cleaned
