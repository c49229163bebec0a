"""The secrets that the configuration refers to: read once, when the receiver starts, and refused when they are weak."""

from collections.abc import Mapping
from pathlib import Path

from ingest.errors import SettingsError
from ingest.settings import Settings, read_environment
from ingest.sources import SHORTEST_DECODED_SECRET, SHORTEST_SECRET, Scheme, Secret


def resolve_secrets(settings: Settings, environ: Mapping[str, str]) -> dict[str, tuple[Secret, ...]]:
    """
    The secrets of every source, newest first, read from *environ*, the `.env` beside the configuration, and files.

    Raises:
        SettingsError: One is missing, unreadable or too short.
    """
    environment = read_environment(settings.path, environ)
    return {
        name: tuple(
            _resolve(reference, name, source.scheme, settings.path, environment) for reference in source.secrets
        )
        for name, source in settings.sources.items()
    }


def resolve_privacy_key(settings: Settings, environ: Mapping[str, str]) -> bytes | None:
    """
    The key of the hashes that take the place of personal data; None where the configuration names none.

    Raises:
        SettingsError: It is missing, unreadable or too short.
    """
    if settings.privacy.key is None:
        return None
    return _read(settings.privacy.key, "of [privacy]", settings.path, read_environment(settings.path, environ)).encode()


def _resolve(reference: str, source: str, scheme: Scheme, path: Path, environment: Mapping[str, str]) -> Secret:
    of = f"of source {source!r}"
    text = _read(reference, of, path, environment)
    try:
        key = scheme.key_of(text)
    except ValueError as error:
        raise SettingsError(
            f"The secret {of} in {reference} does not fit its scheme: {error}; copy it again from the sender."
        ) from None
    if len(key) < SHORTEST_DECODED_SECRET:
        raise SettingsError(
            f"The secret {of} in {reference} decodes to under {SHORTEST_DECODED_SECRET} bytes; ask the sender for"
            " a longer one."
        )
    return Secret(reference, key)


def _read(reference: str, of: str, path: Path, environment: Mapping[str, str]) -> str:
    kind, _, where = reference.partition(":")
    if kind == "env":
        text = environment.get(where, "")
        if not text:
            raise SettingsError(
                f"The secret {of} is not set; put {where}=... into {path.parent / '.env'} or into the environment."
            )
    else:
        file = path.parent / Path(where).expanduser()
        try:
            text = file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            cause = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise SettingsError(
                f"The secret {of} cannot be read from {file} ({cause}); write it there, readable to this user."
            ) from None
    if len(text.encode()) < SHORTEST_SECRET:
        raise SettingsError(
            f"The secret {of} in {reference} is under {SHORTEST_SECRET} bytes; make a longer one, for example with"
            " `openssl rand -hex 32`, and give it to the sender too."
        )
    return text
