"""The configuration, `hookmart.toml`: read once, at start, and refused in a full sentence that says what to do."""

import os
import re
import tomllib
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

import orjson
from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from ingest.errors import SettingsError
from ingest.sources import PRESETS, Scheme
from models.currencies import CURRENCY_EXPONENTS

_SECTIONS = ("program", "stage", "warehouse", "privacy", "sources")
_ENVIRONMENT_PREFIX = "HOOKMART_"


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


def _scheme(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value not in PRESETS:
        raise ValueError(f"{value!r} is not a known scheme; give one of {', '.join(PRESETS)}, or a table")
    return PRESETS[value]


def _secret_reference(value: str) -> str:
    if not re.fullmatch(r"env:[A-Za-z_][A-Za-z0-9_]*|file:.+", value, re.DOTALL):
        # Never repeated here: it may be the secret itself.
        raise ValueError(
            "a secret does not belong into the configuration; put it into .env or a file, rotate it if it stood here,"
            " and write env:NAME or file:PATH instead"
        )
    return value


LocalPath = Annotated[Path, BeforeValidator(_local_path)]
Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class ProgramSettings(_Section):
    """The affiliate program, as its reports see it."""

    reporting_timezone: Annotated[str, AfterValidator(_time_zone)] = "UTC"
    reporting_currency: Annotated[str, AfterValidator(_currency)] = "EUR"


class StageSettings(_Section):
    """
    Where deliveries wait for the loader.

    Attributes:
        directory: Of the open and closed segments; `url` in the file.
        archive: Of the loaded ones, by day.
        segment_max_age_seconds: After its first line a segment closes, so a delivery waits no longer for the loader.
    """

    directory: LocalPath = Field(default=Path("var/stage"), alias="url")
    archive: LocalPath = Field(default_factory=lambda data: data["directory"].with_name("archive"))
    segment_max_bytes: int = Field(default=8 * 1024 * 1024, ge=1024, le=1024**3)
    segment_max_age_seconds: float = Field(default=1.0, ge=0.01, le=3600)

    @model_validator(mode="after")
    def _archive_is_apart(self) -> Self:
        if self.archive == self.directory:
            raise ValueError("`archive` must not be the stage itself; give another directory")
        return self


class WarehouseSettings(_Section):
    """
    Where events are loaded, and where their marts are published.

    Attributes:
        state: Working files of the loader and of the build.
    """

    destination: Literal["duckdb"] = "duckdb"
    database: LocalPath = Path("var/warehouse.duckdb")
    publish: LocalPath = Path("var/published")
    state: LocalPath = Field(default_factory=lambda data: data["database"].with_name("state"))


SecretReference = Annotated[str, AfterValidator(_secret_reference)]


class PrivacySettings(_Section):
    """
    What becomes of personal data before anything is written.

    Attributes:
        key: Reference to the key of the hashes, `env:NAME` or `file:PATH`; without one, they are left out.
    """

    key: SecretReference | None = None


class SourceSettings(_Section):
    """
    One sender.

    Attributes:
        scheme: A preset's name or a table in the file; `header` beside it takes the place of the scheme's own.
        secrets: References, newest first: `env:NAME` or `file:PATH`. `ingest.secrets` reads them.
        allow_ips: Networks that may post; empty: any.
    """

    scheme: Annotated[Scheme, BeforeValidator(_scheme)]
    header: str | None = None
    secrets: tuple[SecretReference, ...] = Field(min_length=1)
    allow_ips: tuple[Network, ...] = ()
    max_body_bytes: int = Field(default=1_048_576, ge=1, le=16 * 1024 * 1024)

    @property
    def signing(self) -> Scheme:
        """The scheme with this source's own header."""
        return self.scheme if self.header is None else Scheme(**{**self.scheme.model_dump(), "header": self.header})

    @model_validator(mode="after")
    def _header_is_a_name(self) -> Self:
        _ = self.signing
        return self


SourceName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=64)]


class Settings(_Section):
    """
    All of it, checked.

    Attributes:
        path: Of the configuration file, absolute. Relative paths in it start from its directory.
    """

    path: Path
    program: ProgramSettings
    stage: StageSettings
    warehouse: WarehouseSettings
    privacy: PrivacySettings
    sources: dict[SourceName, SourceSettings] = Field(default_factory=dict)


def load_settings(path: Path, environ: Mapping[str, str], *, is_required: bool = True) -> Settings:
    """
    Read *path*, and over it what *environ* and the `.env` beside the file set: `HOOKMART_STAGE__URL` and the like.

    Needs no secret to be set: `ingest.secrets.resolve_secrets` does. Where *is_required* is false, a missing file is an
    empty one: every setting has its default, and there is no source.

    Raises:
        SettingsError: It is missing, or any of it cannot be used.
    """
    path = path.absolute()
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if is_required:
            raise SettingsError(f"There is no configuration at {path}; run `hookmart init` to write one.") from None
        document = {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The configuration {path} cannot be read ({error}); check its permissions.") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"The configuration {path} is not valid TOML ({error}); correct it there.") from error
    if "path" in document:
        raise SettingsError(f"In {path}, `path` is not a setting; remove it or correct its spelling.")
    for keys, value in _overrides(read_environment(path, environ)):
        _put(document, keys, value)
    try:
        return Settings.model_validate(
            {"program": {}, "stage": {}, "warehouse": {}, "privacy": {}, **document, "path": path},
            context={"directory": path.parent},
        )
    except ValidationError as error:
        raise SettingsError(_sentence(path, error)) from None


def read_environment(path: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """*environ*, and under it what the `.env` beside the configuration *path* says."""
    # Without interpolation: a "$" in a secret is a "$".
    try:
        beside = dotenv_values(path.parent / ".env", interpolate=False)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path.parent / '.env'} cannot be read ({error}); check its permissions.") from error
    return {name: value for name, value in beside.items() if value is not None} | dict(environ)


def _overrides(environment: Mapping[str, str]) -> list[tuple[list[str], object]]:
    found: list[tuple[list[str], object]] = []
    for name, text in sorted(environment.items()):
        if not name.upper().startswith(_ENVIRONMENT_PREFIX):
            continue
        keys = name[len(_ENVIRONMENT_PREFIX) :].lower().split("__")
        is_setting = keys[0] in _SECTIONS and keys[1:]
        if not is_setting:  # HOOKMART_CONFIG, or a secret's own variable
            continue
        value: object = text
        if text.startswith(("[", "{")):
            try:
                value = orjson.loads(text)
            except orjson.JSONDecodeError as error:
                raise SettingsError(
                    f"The environment variable {name} is not valid JSON ({error}); correct it."
                ) from None
        found.append((keys, value))
    return found


def _put(document: dict[str, Any], keys: list[str], value: object) -> None:
    table = document
    for key in keys[:-1]:
        table = table.setdefault(key, {})
        if not isinstance(table, dict):
            return  # left for the validation to refuse
    table[keys[-1]] = value


def _sentence(path: Path, error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"] if part != "[key]") or "the file"
    match first["type"]:
        case "extra_forbidden":
            return f"In {path}, `{where}` is not a setting; remove it or correct its spelling."
        case "missing":
            return f"In {path}, `{where}` is missing; add it."
        case "string_pattern_mismatch" if "[key]" in first["loc"]:
            return (
                f"In {path}, the source name in `{where}` must be of lower-case letters, digits, `_` and `-`, and begin"
                " with a letter or digit; rename it."
            )
        case "literal_error" if where == "warehouse.destination":
            return f'In {path}, `{where}` can only be "duckdb" for now; correct it.'
        case "model_type" | "dict_type":
            return f"In {path}, `{where}` must be a table, opened by [{where}]; correct it."
        case "too_short" if where.endswith(".secrets"):
            return f"In {path}, `{where}` is empty; name at least one secret as env:NAME or file:PATH."
        case "value_error":
            return f"In {path}, `{where}` cannot be used: {first['msg'].removeprefix('Value error, ')}."
    return f"In {path}, `{where}` cannot be used: {first['msg'][0].lower() + first['msg'][1:]}; correct it."
