"""The configuration, `hookmart.toml`: read once, at start, and refused in a full sentence that says what to do."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

import orjson
from dotenv import dotenv_values
from pydantic import Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from ingest.errors import SettingsError
from ingest.input_settings import InputsSettings
from ingest.reconcile_settings import ReportSettings
from ingest.setting_types import CurrencyCode, LocalPath, Network, Origin, SecretReference, Section, TimeZone
from ingest.source_settings import SourceSettings
from ingest.warehouse_settings import WarehouseSettings

_TABLES = ("program", "receiver", "stage", "warehouse", "privacy", "inputs")
_SECTIONS = (*_TABLES, "sources", "reports")
_ENVIRONMENT_PREFIX = "HOOKMART_"


class ProgramSettings(Section):
    """The affiliate program, as its reports see it."""

    reporting_timezone: TimeZone = "UTC"
    reporting_currency: CurrencyCode = "EUR"


class StageSettings(Section):
    """
    Where deliveries wait for the loader.

    Attributes:
        directory: Of the open and closed segments; `url` in the file.
        archive: Of the loaded ones, by day.
        archive_days: A day of the archive goes so many days after it ended; None keeps them for ever.
        refused: Of the requests that were not proven genuine; beyond what is allowed below, the oldest go.
        refused_max_bytes: On disk.
        refused_max_count: Requests.
        refused_max_age_days: Older ones go.
        segment_max_age_seconds: After its first line a segment closes, so a delivery waits no longer for the loader.
    """

    directory: LocalPath = Field(default=Path("var/stage"), alias="url")
    archive: LocalPath = Field(default_factory=lambda data: data["directory"].with_name("archive"))
    archive_days: int | None = Field(default=None, ge=1, le=36_500)
    refused: LocalPath = Field(default_factory=lambda data: data["directory"].with_name("refused"))
    refused_max_bytes: int = Field(default=256 * 1024 * 1024, ge=1024)
    refused_max_count: int = Field(default=100_000, ge=1)
    refused_max_age_days: float = Field(default=30.0, gt=0, le=3650)
    segment_max_bytes: int = Field(default=8 * 1024 * 1024, ge=1024, le=1024**3)
    segment_max_age_seconds: float = Field(default=1.0, ge=0.01, le=3600)

    @model_validator(mode="after")
    def _directories_are_apart(self) -> Self:
        if self.archive == self.directory:
            raise ValueError("`archive` must not be the stage itself; give another directory")
        if self.refused in {self.directory, self.archive}:
            raise ValueError("`refused` must be neither the stage nor the archive; give another directory")
        return self


class ReceiverSettings(Section):
    """
    How the receiver meets the network.

    Attributes:
        trusted_proxies: Whose word on the client's address, and on scheme and host of the URL, is believed.
        public_url: Scheme and host by which senders know the receiver, where a signature covers the URL.
        body_seconds: A body that takes longer to arrive is answered 503.
        in_flight_high_bytes: Of bodies held at one time, in one process: from here on requests are turned away,
        in_flight_low_bytes: until so much is left.
    """

    trusted_proxies: tuple[Network, ...] = ()
    public_url: Origin | None = None
    body_seconds: float = Field(default=30.0, ge=0.1, le=600)
    in_flight_high_bytes: int = Field(default=256 * 1024 * 1024, ge=1024)
    in_flight_low_bytes: int = Field(default_factory=lambda data: data.get("in_flight_high_bytes", 2) // 2, ge=0)

    @model_validator(mode="after")
    def _low_is_below_high(self) -> Self:
        if self.in_flight_low_bytes > self.in_flight_high_bytes:
            raise ValueError("`in_flight_low_bytes` must not be above `in_flight_high_bytes`; lower it")
        return self


class PrivacySettings(Section):
    """
    What becomes of personal data before anything is written.

    Attributes:
        key: Reference to the key of the hashes, `env:NAME` or `file:PATH`; without one, they are left out.
    """

    key: SecretReference | None = None


SourceName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=64)]


class Settings(Section):
    """
    All of it, checked.

    Attributes:
        path: Of the configuration file, absolute. Relative paths in it start from its directory.
    """

    path: Path
    program: ProgramSettings
    receiver: ReceiverSettings
    stage: StageSettings
    warehouse: WarehouseSettings
    privacy: PrivacySettings
    inputs: InputsSettings
    sources: dict[SourceName, SourceSettings] = Field(default_factory=dict)
    reports: dict[SourceName, ReportSettings] = Field(default_factory=dict)


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
            {**{name: {} for name in _TABLES}, **document, "path": path},
            context={"directory": path.parent},
        )
    except ValidationError as error:
        faults = [_sentence(path, each) for each in error.errors(include_url=False, include_input=False)]
        raise SettingsError(faults[0], faults) from None


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


def _sentence(path: Path, fault: ErrorDetails) -> str:
    where = ".".join(str(part) for part in fault["loc"] if part != "[key]") or "the file"
    match fault["type"]:
        case "extra_forbidden":
            return f"In {path}, `{where}` is not a setting; remove it or correct its spelling."
        case "missing":
            return f"In {path}, `{where}` is missing; add it."
        case "string_pattern_mismatch" if "[key]" in fault["loc"]:
            return (
                f"In {path}, the source name in `{where}` must be of lower-case letters, digits, `_` and `-`, and begin"
                " with a letter or digit; rename it."
            )
        case "literal_error" if where == "warehouse.destination":
            return f"In {path}, `{where}` can only be {fault['ctx']['expected']}; correct it."
        case "model_type" | "dict_type":
            return f"In {path}, `{where}` must be a table, opened by [{where}]; correct it."
        case "value_error":
            return f"In {path}, `{where}` cannot be used: {fault['msg'].removeprefix('Value error, ')}."
    return f"In {path}, `{where}` cannot be used: {fault['msg'][0].lower() + fault['msg'][1:]}; correct it."
