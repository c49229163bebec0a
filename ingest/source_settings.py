"""What the configuration says of one sender."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, InstanceOf, ValidationInfo, field_validator, model_validator

from ingest.setting_types import CurrencyCode, Network, SecretReference, Section
from ingest.sources import PRESETS, UNSIGNED, Scheme
from mappings.mapping import Mapping
from mappings.mapping_file import load_mapping


def _scheme(value: object) -> object:
    if not isinstance(value, str):
        return value
    known = PRESETS | UNSIGNED
    if value not in known:
        raise ValueError(f"{value!r} is not a known scheme; give one of {', '.join(known)}, or a table")
    return known[value]


def _mapping(value: object, info: ValidationInfo) -> object:
    return load_mapping(value, (info.context or {})["directory"]) if isinstance(value, str) else value


class SourceSettings(Section):
    """
    One sender.

    Attributes:
        scheme: A preset's name or a table in the file; `header` beside it takes the place of the scheme's own.
        secrets: References, newest first: `env:NAME` or `file:PATH`. `ingest.secrets` reads them.
        path_token: Reference to a token that the path must end with, `/webhooks/NAME/TOKEN`.
        allow_ips: Networks that may post; empty: any.
        max_body_bytes: As sent; a longer body is refused.
        max_decompressed_bytes: Of a compressed body, once it is unpacked.
        signature_covers: The bytes as "sent", or as "decompressed".
        arrays: Whether a body may be an array of events.
        mapping: From the platform's own payloads to events: the name of one that comes with hookmart, or a file's path.
        mapping_currency: Of amounts for which the platform names no currency.
    """

    scheme: Annotated[Scheme, BeforeValidator(_scheme)]
    header: str | None = None
    secrets: tuple[SecretReference, ...] = ()
    path_token: SecretReference | None = None
    allow_ips: tuple[Network, ...] = ()
    max_body_bytes: int = Field(default=1_048_576, ge=1, le=16 * 1024 * 1024)
    max_decompressed_bytes: int = Field(default=8 * 1_048_576, ge=1, le=64 * 1024 * 1024)
    signature_covers: Literal["sent", "decompressed"] = "sent"
    arrays: bool = False
    mapping: Annotated[InstanceOf[Mapping] | None, BeforeValidator(_mapping)] = None
    mapping_currency: CurrencyCode | None = None

    @property
    def signing(self) -> Scheme:
        """The scheme with this source's own header; other families of headers then have no say."""
        if self.header is None:
            return self.scheme
        return self.scheme.model_copy(update={"header": self.header, "alternatives": ()})

    @property
    def platform(self) -> Mapping | None:
        """The mapping, with this source's own currency; None where the source speaks the contract."""
        return None if self.mapping is None else self.mapping.in_currency(self.mapping_currency)

    @model_validator(mode="after")
    def _mapping_takes_one_payload(self) -> Self:
        if self.mapping is not None and self.arrays:
            raise ValueError("`mapping` takes one payload a request, so `arrays` cannot be true; remove one of the two")
        if self.mapping is None and self.mapping_currency is not None:
            raise ValueError("`mapping_currency` says nothing without a `mapping`; remove it, or name a mapping")
        return self

    @field_validator("secrets")
    @classmethod
    def _secrets_are_there(cls, secrets: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        scheme: Scheme | None = info.data.get("scheme")
        if not secrets and scheme is not None and scheme.needs_secret:
            raise ValueError("it names no secret, and the scheme needs one; name at least one as env:NAME or file:PATH")
        return secrets

    @model_validator(mode="after")
    def _header_is_a_name(self) -> Self:
        _ = self.signing
        return self

    @model_validator(mode="after")
    def _somebody_is_kept_out(self) -> Self:
        is_fenced = bool(self.allow_ips) and all(network.prefixlen for network in self.allow_ips)
        if not (self.scheme.covers_body or is_fenced or self.path_token is not None):
            raise ValueError(
                "its scheme proves nothing about the body; name the sender's networks in `allow_ips`, or set"
                " `path_token`, or take a scheme that signs"
            )
        return self
