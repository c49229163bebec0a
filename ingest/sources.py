"""How senders sign: every scheme is data, and one verifier reads it."""

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

_PLACEHOLDER = re.compile(r"(\{(?:id|timestamp|body)\})")

SHORTEST_SECRET = 32
SHORTEST_DECODED_SECRET = 24  # Standard Webhooks 1.0.0 asks for 24 to 64 bytes behind the base64

HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,100}$"), AfterValidator(str.lower)]


class Scheme(BaseModel):
    """
    One way to sign a request with HMAC-SHA256.

    The header's value is cut at `separator`, if there is one; each part that opens with `prefix` is a signature, and
    one good signature is enough.

    Attributes:
        header: Where the signatures are; lower-case, as all header names here.
        timestamp_header: A header that holds the time of sending, in Unix seconds; or
        timestamp_prefix: what opens the part of `header` that holds it. Neither: the scheme has no time.
        id_header: A header whose value is signed as `{id}`.
        signed: What the signature covers, built from `{id}`, `{timestamp}`, `{body}` and what stands between.
        key: "text": the secret as written is the key. "whsec": base64 behind an optional `whsec_`.
        tolerance_past_seconds: Older is refused, since it may be a replay.
        tolerance_future_seconds: Newer is refused as well.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    header: HeaderName = "x-webhook-signature"
    encoding: Literal["hex", "base64"] = "hex"
    prefix: str = ""
    separator: str | None = Field(default=None, min_length=1)
    timestamp_header: HeaderName | None = None
    timestamp_prefix: str | None = Field(default=None, min_length=1)
    id_header: HeaderName | None = None
    signed: str = "{body}"
    key: Literal["text", "whsec"] = "text"
    tolerance_past_seconds: int = Field(default=300, ge=1, le=86_400)
    tolerance_future_seconds: int = Field(default=300, ge=1, le=86_400)

    @property
    def has_timestamp(self) -> bool:
        """Whether a request must name the time it was sent."""
        return self.timestamp_header is not None or self.timestamp_prefix is not None

    def message(self, event_id: bytes, timestamp: bytes, body: bytes) -> bytes:
        """The bytes that the signature covers."""
        if self.signed == "{body}":
            return body
        values = {"{id}": event_id, "{timestamp}": timestamp, "{body}": body}
        return b"".join([values[part] if part in values else part.encode() for part in _PLACEHOLDER.split(self.signed)])

    def key_of(self, secret: str) -> bytes:
        """
        The key that *secret* stands for.

        Raises:
            ValueError: It is not base64, where the scheme wants that.
        """
        if self.key == "text":
            return secret.encode()
        try:
            return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("it is not base64 behind an optional `whsec_`") from None

    @model_validator(mode="after")
    def _covers_what_it_reads(self) -> Self:
        if self.signed.count("{body}") != 1:
            raise ValueError("`signed` must hold {body} once: a signature that does not cover the body proves nothing")
        if self.timestamp_header is not None and self.timestamp_prefix is not None:
            raise ValueError("only one of `timestamp_header` and `timestamp_prefix` can be given")
        if ("{timestamp}" in self.signed) != self.has_timestamp:
            raise ValueError(
                "{timestamp} in `signed` and one of `timestamp_header`, `timestamp_prefix` need each other"
            )
        if ("{id}" in self.signed) != (self.id_header is not None):
            raise ValueError("{id} in `signed` and `id_header` need each other")
        if self.timestamp_prefix is not None and self.separator is None:
            raise ValueError("`timestamp_prefix` needs a `separator`")
        return self


PRESETS: dict[str, Scheme] = {
    "hmac-sha256-hex": Scheme(),
    "hmac-sha256-base64": Scheme(encoding="base64"),
    "standard-webhooks": Scheme(
        header="webhook-signature",
        encoding="base64",
        prefix="v1,",
        separator=" ",
        timestamp_header="webhook-timestamp",
        id_header="webhook-id",
        signed="{id}.{timestamp}.{body}",
        key="whsec",
    ),
    "github": Scheme(header="x-hub-signature-256", prefix="sha256="),
    "stripe": Scheme(
        header="stripe-signature",
        prefix="v1=",
        separator=",",
        timestamp_prefix="t=",
        signed="{timestamp}.{body}",
    ),
    "paddle": Scheme(
        header="paddle-signature",
        prefix="h1=",
        separator=";",
        timestamp_prefix="ts=",
        signed="{timestamp}:{body}",
    ),
    "shopify": Scheme(header="x-shopify-hmac-sha256", encoding="base64"),
    "slack": Scheme(
        header="x-slack-signature",
        prefix="v0=",
        timestamp_header="x-slack-request-timestamp",
        signed="v0:{timestamp}:{body}",
    ),
}


@dataclass(frozen=True, slots=True)
class Secret:
    """
    One key a source may sign with.

    Attributes:
        name: Where it is kept, as the configuration says it: `env:NAME` or `file:PATH`. Safe to show.
        key: The key itself; left out of every representation.
    """

    name: str
    key: bytes = field(repr=False)
