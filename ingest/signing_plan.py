"""A scheme made ready for the verifier: bytes instead of text, and nothing left to look up for each request."""

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import unquote_to_bytes

_PLACEHOLDER = re.compile(r"(\{(?:id|timestamp|method|url|body)\})")
_TIMES = {
    "seconds": re.compile(rb"[0-9]{1,12}"),
    "milliseconds": re.compile(rb"[0-9]{1,15}"),
    "rfc3339": re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9:]{8}(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"),
}


@dataclass(frozen=True, slots=True)
class HeaderFamily:
    """Names of the headers that belong together in one request."""

    header: bytes
    timestamp_header: bytes | None
    id_header: bytes | None

    @classmethod
    def of(cls, header: str, timestamp_header: str | None, id_header: str | None) -> Self:
        """Return the family of these names."""
        return cls(
            header.encode(),
            None if timestamp_header is None else timestamp_header.encode(),
            None if id_header is None else id_header.encode(),
        )


@dataclass(frozen=True, slots=True)
class SigningPlan:
    """
    What the verifier needs to know of a scheme.

    Attributes:
        families: At least one; the first whose signature a request carries is read.
        digest: Name of the HMAC's hash; None where there is no HMAC.
        is_token, is_open: The secret itself is sent; nothing is.
        is_hex: Of a signature; else base64, or text as it is.
        public_prefix: Opens an Ed25519 signature; None where there are none.
        signed: Literal bytes, and between them names of what stands there.
        is_plain: The value of one header is one HMAC of the body alone: the common case.
        covers_request_line: The signature covers the method or the URL.
        time_pattern: A time that can be read; None where the scheme signs none.
        is_rfc3339, ticks: How it is written, or how many of its units are a second.
        url_encodings: Those that are decoded before the URL is signed.
    """

    families: tuple[HeaderFamily, ...]
    digest: str | None
    is_token: bool
    is_open: bool
    is_hex: bool
    is_text: bool
    prefix: bytes
    public_prefix: bytes | None
    separator: bytes | None
    timestamp_prefix: bytes | None
    signed: tuple[bytes | str, ...]
    is_plain: bool
    covers_request_line: bool
    time_pattern: re.Pattern[bytes] | None
    is_rfc3339: bool
    ticks: int
    past_seconds: int
    future_seconds: int
    url_encodings: re.Pattern[bytes] | None

    @classmethod
    def of(
        cls,
        *,
        families: tuple[HeaderFamily, ...],
        algorithm: str,
        encoding: str,
        prefix: str,
        ed25519_prefix: str | None,
        separator: str | None,
        timestamp_prefix: str | None,
        timestamp_unit: str,
        signed: str,
        url_decoded: str,
        tolerance_past_seconds: int,
        tolerance_future_seconds: int,
    ) -> Self:
        """Return the plan of the scheme that has these attributes."""
        is_timed = "{timestamp}" in signed
        return cls(
            families=families,
            digest=algorithm.removeprefix("hmac-") if algorithm.startswith("hmac-") else None,
            is_token=algorithm == "token",
            is_open=algorithm == "none",
            is_hex=encoding == "hex",
            is_text=encoding == "text",
            prefix=prefix.encode(),
            public_prefix=prefix.encode() if algorithm == "ed25519" else _encoded(ed25519_prefix),
            separator=_encoded(separator),
            timestamp_prefix=_encoded(timestamp_prefix),
            signed=tuple(
                part[1:-1] if _PLACEHOLDER.fullmatch(part) else part.encode()
                for part in _PLACEHOLDER.split(signed)
                if part
            ),
            is_plain=signed == "{body}"
            and algorithm.startswith("hmac-")
            and len(families) == 1
            and separator is None
            and ed25519_prefix is None,
            covers_request_line="{method}" in signed or "{url}" in signed,
            time_pattern=_TIMES[timestamp_unit] if is_timed else None,
            is_rfc3339=timestamp_unit == "rfc3339",
            ticks=1000 if timestamp_unit == "milliseconds" else 1,
            past_seconds=tolerance_past_seconds,
            future_seconds=tolerance_future_seconds,
            url_encodings=_encodings_of(url_decoded),
        )

    def url(self, url: str) -> bytes:
        """*url* as it is signed."""
        # A request's own bytes, whatever they are, come as text of some kind; none of it may raise.
        text = url.encode("utf-8", "surrogatepass")
        if self.url_encodings is None:
            return text
        return self.url_encodings.sub(lambda found: unquote_to_bytes(found[0]), text)


def _encoded(text: str | None) -> bytes | None:
    return None if text is None else text.encode()


def _encodings_of(characters: str) -> re.Pattern[bytes] | None:
    if not characters:
        return None
    return re.compile("|".join(f"%{ord(character):02X}" for character in characters).encode(), re.IGNORECASE)
