"""The secrets that the configuration refers to: weak ones are refused, and files that are away are waited for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ingest.errors import SettingsError
from ingest.settings import Settings, read_environment
from ingest.source_settings import SourceSettings
from ingest.sources import SHORTEST_DECODED_SECRET, SHORTEST_SECRET, Scheme, Secret


@dataclass(frozen=True, slots=True)
class SourceSecrets:
    """
    What one source verifies with.

    Attributes:
        secrets: Newest first, without those that cannot be read now.
        path_token: None where the source has none, or where it cannot be read now.
        unreadable: References to the files that cannot be read now, the token's among them. What does not verify with
            the others may well do so with these, so it must not be refused for good.
    """

    secrets: tuple[Secret, ...]
    path_token: str | None = field(default=None, repr=False)
    unreadable: tuple[str, ...] = ()


def resolve_secrets(settings: Settings, environ: Mapping[str, str]) -> dict[str, tuple[Secret, ...]]:
    """
    Return the secrets of every source, newest first, read from *environ*, `.env` beside the configuration, and files.

    For a command, which cannot wait: every secret has to be there. A source whose scheme needs none has none.

    Raises:
        SettingsError: One is missing, unreadable, too short, or not what its scheme wants.
    """
    environment = read_environment(settings.path, environ)
    return {
        name: tuple(_secret(reference, name, source.scheme, settings.path, environment) for reference in _used(source))
        for name, source in settings.sources.items()
    }


def resolve_source_secrets(settings: Settings, environ: Mapping[str, str]) -> dict[str, SourceSecrets]:
    """
    Return what every source verifies with, for a receiver that goes on without a file until it can be read.

    Raises:
        SettingsError: A variable is not set; or a secret is too short, or not what its scheme wants.
    """
    environment = read_environment(settings.path, environ)
    return {
        name: _source_secrets(name, source, settings.path, environment) for name, source in settings.sources.items()
    }


def resolve_signing_key(settings: Settings, reference: str, environ: Mapping[str, str]) -> str:
    """
    Return the private key that *reference*, env:NAME or file:PATH, names, as it is written; for who plays a sender.

    Raises:
        SettingsError: It is missing or unreadable, or *reference* is neither.
    """
    kind, _, where = reference.partition(":")
    if kind not in {"env", "file"} or not where:
        raise SettingsError("Say the signing key as env:NAME or file:PATH, and never the key itself.")
    environment = read_environment(settings.path, environ)
    return _read(reference, "that is the signing key", settings.path, environment, shortest=1)


def resolve_privacy_key(settings: Settings, environ: Mapping[str, str]) -> bytes | None:
    """
    Return the key of the hashes that take the place of personal data; None where the configuration names none.

    Raises:
        SettingsError: It is missing, unreadable or too short.
    """
    if settings.privacy.key is None:
        return None
    return _read(settings.privacy.key, "of [privacy]", settings.path, read_environment(settings.path, environ)).encode(
        "utf-8", "surrogateescape"
    )


def resolve_warehouse_url(settings: Settings, environ: Mapping[str, str]) -> str:
    """
    Return the URL of the warehouse's server, which may hold a password.

    Raises:
        SettingsError: It is missing or unreadable.
    """
    reference = settings.warehouse.credentials or ""
    return _read(reference, "of [warehouse]", settings.path, read_environment(settings.path, environ), shortest=1)


def resolve_warehouse_key(settings: Settings, environ: Mapping[str, str]) -> str | None:
    """
    Return the private key that opens the warehouse; None where none is configured.

    Raises:
        SettingsError: It is missing or unreadable.
    """
    reference = settings.warehouse.private_key
    if reference is None:
        return None
    return _read(reference, "of [warehouse]", settings.path, read_environment(settings.path, environ), shortest=1)


def resolve_input_url(settings: Settings, name: str, environ: Mapping[str, str]) -> str:
    """
    Return the URL of the database that the input *name* comes from, which may hold a password.

    Raises:
        SettingsError: It is missing or unreadable.
    """
    reference = settings.inputs.configured[name].sql or ""
    of = f"of [inputs.{name}]"
    return _read(reference, of, settings.path, read_environment(settings.path, environ), shortest=1)


class _CannotBeReadError(SettingsError):
    """A file that may be back later: not mounted yet, or not readable to this user."""


def _source_secrets(name: str, source: SourceSettings, path: Path, environment: Mapping[str, str]) -> SourceSecrets:
    secrets, unreadable, token = [], [], None
    for reference in _used(source):
        try:
            secrets.append(_secret(reference, name, source.scheme, path, environment))
        except _CannotBeReadError:
            unreadable.append(reference)
    if source.path_token is not None:
        try:
            token = _path_token(source.path_token, name, path, environment)
        except _CannotBeReadError:
            unreadable.append(source.path_token)
    return SourceSecrets(tuple(secrets), token, tuple(unreadable))


def _used(source: SourceSettings) -> tuple[str, ...]:
    return source.secrets if source.scheme.needs_secret else ()


def _secret(reference: str, source: str, scheme: Scheme, path: Path, environment: Mapping[str, str]) -> Secret:
    of = f"of source {source!r}"
    text = _read(reference, of, path, environment, scheme.shortest_secret)
    try:
        secret = scheme.secret_of(reference, text)
    except ValueError as error:
        raise SettingsError(
            f"The secret {of} in {reference} does not fit its scheme: {error}; copy it again from the sender."
        ) from None
    if len(secret.key) < min(SHORTEST_DECODED_SECRET, scheme.shortest_secret):
        raise SettingsError(
            f"The secret {of} in {reference} decodes to under {SHORTEST_DECODED_SECRET} bytes; ask the sender for"
            " a longer one."
        )
    return secret


def _path_token(reference: str, source: str, path: Path, environment: Mapping[str, str]) -> str:
    of = f"that ends the path of source {source!r}"
    token = _read(reference, of, path, environment)
    if not re.fullmatch(r"[A-Za-z0-9._~-]+", token):
        raise SettingsError(
            f"The secret {of} in {reference} cannot stand in a URL as it is; make one with `openssl rand -hex 32`."
        )
    return token


def _read(reference: str, of: str, path: Path, environment: Mapping[str, str], shortest: int = SHORTEST_SECRET) -> str:
    kind, _, where = reference.partition(":")
    if kind == "env":
        text = environment.get(where, "")
        if not text:
            raise SettingsError(
                f"The secret {of} is not set; put {where}=... into {path.parent / '.env'} or into the environment."
            )
    else:
        text = _content(where, of, path.parent)
    if len(text.encode("utf-8", "surrogateescape")) < shortest:
        raise SettingsError(
            f"The secret {of} in {reference} is under {shortest} bytes; make a longer one, for example with"
            " `openssl rand -hex 32`, and give it to the sender too."
        )
    return text


def _content(where: str, of: str, directory: Path) -> str:
    remedy = "write it there, readable to this user"
    try:
        return (directory / Path(where).expanduser()).read_bytes().decode().rstrip("\r\n")
    except OSError as error:
        cause = error.strerror or type(error).__name__
        raise _CannotBeReadError(f"The secret {of} cannot be read from {where} ({cause}); {remedy}.") from None
    except UnicodeDecodeError:
        raise SettingsError(f"The secret {of} cannot be read from {where} (it is not UTF-8 text); {remedy}.") from None
    except (RuntimeError, ValueError) as error:  # no such home directory; a NUL
        raise SettingsError(f"The secret {of} has no path in file:{where} ({error}); correct it.") from None
