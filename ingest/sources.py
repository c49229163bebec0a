"""How senders sign: every scheme is data, and one verifier reads it."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from ingest.presets import PRESET_TABLES, UNSIGNED_TABLES
from ingest.signing_plan import HeaderFamily, SigningPlan

_FIELDS = ("id", "timestamp", "method", "url", "body")
_PLACEHOLDER = re.compile(r"\{[A-Za-z_]+\}")

SHORTEST_SECRET = 32
SHORTEST_DECODED_SECRET = 24  # Standard Webhooks 1.0.0 asks for 24 to 64 bytes behind the base64

_FEWEST_BYTES_OF_A_KEY = 8

HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,100}$"), AfterValidator(str.lower)]


@dataclass(frozen=True, slots=True)
class Secret:
    """
    One key a source may sign with.

    Attributes:
        name: Where it is kept, as the configuration says it: `env:NAME` or `file:PATH`. Safe to show.
        key: The key itself; left out of every representation.
        is_public: It verifies Ed25519 signatures, and nothing else: as the key of an HMAC it would be known to all.
    """

    name: str
    key: bytes = field(repr=False)
    is_public: bool = field(default=False, repr=False)


class HeaderNames(BaseModel):
    """Names under which the headers of a scheme may come instead; lower-case, as all header names here."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    header: HeaderName
    timestamp_header: HeaderName | None = None
    id_header: HeaderName | None = None


class Scheme(BaseModel):
    """
    One way to sign a request.

    The header's value is cut at `separator`, if there is one; each part that opens with `prefix` is a signature, and
    one good signature is enough.

    Attributes:
        algorithm: "token": nothing is signed, the secret itself is sent. "none": nothing is proven at all.
        header: Where the signatures are; lower-case, as all header names here.
        encoding: Of the signature. "text", the secret as it is, goes with a token only.
        ed25519_prefix: What opens the parts that are Ed25519 signatures by `whpk_` keys, beside those by `algorithm`.
        timestamp_header: A header that holds the time of sending; or
        timestamp_prefix: what opens the part of `header` that holds it. Neither: the scheme has no time.
        timestamp_unit: Of Unix time; or a time as RFC 3339 writes it.
        id_header: A header whose value is signed as `{id}`.
        alternatives: Other names of these headers. The first family whose signature is there is read, and no other.
        signed: What the signature covers, built from `{id}`, `{timestamp}`, `{method}`, `{url}`, `{body}` and what
            stands between. Empty where nothing is signed.
        url_decoded: Characters of the URL whose percent-encodings are decoded before it is signed.
        key: "text": the secret as written is the key. "whsec": base64 behind an optional `whsec_`, padded or not.
        shortest_secret: As written, in bytes.
        tolerance_past_seconds: Older is refused, since it may be a replay.
        tolerance_future_seconds: Newer is refused as well.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    algorithm: Literal["hmac-sha256", "hmac-sha512", "hmac-sha1", "ed25519", "token", "none"] = "hmac-sha256"
    header: HeaderName = "x-webhook-signature"
    encoding: Literal["hex", "base64", "text"] = "hex"
    prefix: str = ""
    ed25519_prefix: str | None = Field(default=None, min_length=1)
    separator: str | None = Field(default=None, min_length=1)
    timestamp_header: HeaderName | None = None
    timestamp_prefix: str | None = Field(default=None, min_length=1)
    timestamp_unit: Literal["seconds", "milliseconds", "rfc3339"] = "seconds"
    id_header: HeaderName | None = None
    alternatives: tuple[HeaderNames, ...] = ()
    signed: str = "{body}"
    url_decoded: str = Field(default="", pattern=r"^[!-~]*$")
    key: Literal["text", "whsec", "base64", "hex", "user:password"] = "text"
    shortest_secret: int = Field(default=SHORTEST_SECRET, ge=16, le=SHORTEST_SECRET)
    tolerance_past_seconds: int = Field(default=300, ge=1, le=86_400)
    tolerance_future_seconds: int = Field(default=300, ge=1, le=86_400)

    @property
    def has_timestamp(self) -> bool:
        """Whether a request must name the time it was sent, and is signed with it."""
        return self.timestamp_header is not None or self.timestamp_prefix is not None

    @property
    def covers_url(self) -> bool:
        """Whether the verifier has to know the URL."""
        return "{url}" in self.signed

    @property
    def covers_body(self) -> bool:
        """Whether a request that verifies proves anything about its body."""
        return self.algorithm not in {"token", "none"}

    @property
    def needs_secret(self) -> bool:
        """Whether there is anything to verify with."""
        return self.algorithm != "none"

    @property
    def header_names(self) -> frozenset[str]:
        """Every header that the verifier may read, alternatives among them."""
        if not self.needs_secret:
            return frozenset()
        names = {name for each in self._families for name in (each.header, each.timestamp_header, each.id_header)}
        return frozenset(name for name in names if name is not None)

    @property
    def _families(self) -> tuple[HeaderNames, ...]:
        own = HeaderNames(header=self.header, timestamp_header=self.timestamp_header, id_header=self.id_header)
        return (own, *self.alternatives)

    @cached_property
    def plan(self) -> SigningPlan:
        """This scheme as the verifier reads it."""
        return SigningPlan.of(
            families=tuple(
                HeaderFamily.of(names.header, names.timestamp_header, names.id_header) for names in self._families
            ),
            **self.model_dump(
                exclude={"header", "timestamp_header", "id_header", "alternatives", "key", "shortest_secret"}
            ),
        )

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:  # noqa: ARG002
        """Return a scheme that differs in *update*, validated; the plan is made anew."""
        return type(self).model_validate({**self.model_dump(), **(update or {})})

    def secret_of(self, name: str, text: str) -> Secret:
        """
        Return the key that *text* stands for, kept under *name*.

        Raises:
            ValueError: It is not written as the scheme wants it. The message does not repeat it.
        """
        if self.algorithm == "ed25519":
            return Secret(name, _public_key(self.key_of(text.removeprefix("whpk_"))), is_public=True)
        if self.ed25519_prefix is not None and text.startswith("whpk_"):
            return Secret(name, _public_key(_from_base64(text.removeprefix("whpk_"))), is_public=True)
        return Secret(name, self.key_of(text))

    def key_of(self, text: str) -> bytes:
        """
        Return the bytes that *text* stands for.

        Raises:
            ValueError: It is not written as the scheme wants it. The message does not repeat it.
        """
        if self.key == "whsec":
            if text.startswith("whsk_"):
                raise ValueError("it is the sender's own signing key; take the one that begins with `whpk_`")
            return _from_base64(text.removeprefix("whsec_"), " behind an optional `whsec_`")
        if self.key == "base64":
            return _from_base64(text)
        if self.key == "hex":
            if not re.fullmatch(r"(?:[0-9A-Fa-f]{2})+", text):
                raise ValueError("it is not hex")
            return bytes.fromhex(text)
        if self.key == "user:password" and not re.fullmatch(r"[^:]+:.+", text, re.DOTALL):
            raise ValueError("it is not `user:password`")
        # As the operating system gives a variable that is not UTF-8: its own bytes.
        return text.encode("utf-8", "surrogateescape")

    @model_validator(mode="after")
    def _covers_what_it_reads(self) -> Self:
        if not self.covers_body:
            if self.signed:
                raise ValueError(f'algorithm "{self.algorithm}" signs nothing, so `signed` must be ""')
        elif self.signed.count("{body}") != 1:
            raise ValueError("`signed` must hold {body} once: a signature that does not cover the body proves nothing")
        for placeholder in _PLACEHOLDER.findall(self.signed):
            if placeholder[1:-1] not in _FIELDS:
                raise ValueError(f"{placeholder} in `signed` is none of {', '.join(f'{{{name}}}' for name in _FIELDS)}")
        if self.timestamp_header is not None and self.timestamp_prefix is not None:
            raise ValueError("only one of `timestamp_header` and `timestamp_prefix` can be given")
        if ("{timestamp}" in self.signed) != self.has_timestamp:
            raise ValueError(
                "{timestamp} in `signed` and one of `timestamp_header`, `timestamp_prefix` need each other"
            )
        if ("{id}" in self.signed) != (self.id_header is not None):
            raise ValueError("{id} in `signed` and `id_header` need each other")
        if self.url_decoded and not self.covers_url:
            raise ValueError("`url_decoded` needs {url} in `signed`")
        return self

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        if self.timestamp_prefix is not None and self.separator is None:
            raise ValueError("`timestamp_prefix` needs a `separator`")
        if (self.encoding == "text") and self.algorithm != "token":
            raise ValueError('encoding "text" is for algorithm "token" only; give "hex" or "base64"')
        if self.algorithm == "ed25519" and self.key not in {"whsec", "base64", "hex"}:
            raise ValueError('algorithm "ed25519" needs `key` "hex", "base64" or "whsec"')
        if self.ed25519_prefix is not None:
            if self.key != "whsec" or not self.algorithm.startswith("hmac-"):
                raise ValueError('`ed25519_prefix` stands beside an HMAC whose `key` is "whsec"')
            if self.ed25519_prefix.startswith(self.prefix) or self.prefix.startswith(self.ed25519_prefix):
                raise ValueError("`prefix` and `ed25519_prefix` must tell signatures apart: neither may open the other")
        for names in self.alternatives:
            if (names.timestamp_header is None, names.id_header is None) != (
                self.timestamp_header is None,
                self.id_header is None,
            ):
                raise ValueError("each of `alternatives` must name the same headers as the scheme itself")
        return self


def _from_base64(text: str, where: str = "") -> bytes:
    try:
        # Platforms print it with and without its padding.
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        raise ValueError(f"it is not base64{where}") from None


def _public_key(key: bytes) -> bytes:
    # Slow to import, and few sources need it; once here, it is there when the first request comes.
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

    try:
        Ed25519PublicKey.from_public_bytes(key)
    except ValueError:
        raise ValueError("it is not an Ed25519 public key, which has 32 bytes") from None
    if len(set(key)) < _FEWEST_BYTES_OF_A_KEY:
        # Such points are of small order: anybody can sign for them.
        raise ValueError("it is a placeholder, not an Ed25519 public key")
    return key


PRESETS: dict[str, Scheme] = {name: Scheme(**table) for name, table in PRESET_TABLES.items()}
"""By the name that a configuration may give in place of a table."""

UNSIGNED: dict[str, Scheme] = {name: Scheme(**table) for name, table in UNSIGNED_TABLES.items()}
"""Likewise; they prove nothing about the body, so a source with one of them needs another fence."""
