"""The kinds of values a configuration holds; each refuses in words that say what to give instead."""

import os
import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationInfo

from models.currencies import CURRENCY_EXPONENTS


def _local_path(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, str | Path):
        raise ValueError("it is not text; give a path in quotes")  # noqa: TRY004 - pydantic lets a TypeError through
    text = str(value).removeprefix("file://")
    if "://" in text:
        kind = text.partition("://")[0]
        raise ValueError(f"{kind}:// is not supported yet; give a local directory, such as var/stage")
    if not text:
        raise ValueError("it is empty; give a path, or leave the setting out")
    # Normalised without following symlinks: the operator may swap one while we run.
    directory: Path = (info.context or {})["directory"]
    return Path(os.path.normpath(directory / Path(text).expanduser()))


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        raise ValueError(f"{name!r} is not an IANA time zone; give one such as UTC or Europe/Malta") from None
    return name


def _currency(code: str) -> str:
    if code.upper() not in CURRENCY_EXPONENTS:
        raise ValueError(f"{code!r} is not a known currency; give an ISO 4217 code such as EUR")
    return code.upper()


def _network(value: object) -> IPv4Network | IPv6Network:
    try:
        return ip_network(str(value))
    except ValueError as error:
        raise ValueError(f"{error}; give a network such as 192.0.2.0/24, or one address") from None


def _secret_reference(value: str) -> str:
    if not re.fullmatch(r"env:[A-Za-z_][A-Za-z0-9_]*|file:.+", value, re.DOTALL):
        # Never repeated here: it may be the secret itself.
        raise ValueError(
            "a secret does not belong into the configuration; put it into .env or a file, rotate it if it stood here,"
            " and write env:NAME or file:PATH instead"
        )
    return value


def _public_url(text: str) -> str:
    if not re.fullmatch(r"https?://[^/?#\s]+", text):
        raise ValueError(f"{text!r} is not an origin; give one such as https://hooks.example.com, without a path")
    return text


LocalPath = Annotated[Path, BeforeValidator(_local_path)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
CurrencyCode = Annotated[str, AfterValidator(_currency)]
Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)]
SecretReference = Annotated[str, AfterValidator(_secret_reference)]
Origin = Annotated[str, AfterValidator(_public_url)]


class Section(BaseModel):
    """A table of the configuration: nothing in it goes unread, and nothing changes once it is read."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
