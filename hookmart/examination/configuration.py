"""The configuration and its secrets, all of what is wrong at once; no finding shows a secret."""

import re
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from hookmart.examination.finding import Finding, Part
from ingest.errors import SettingsError
from ingest.secrets import (
    resolve_privacy_key,
    resolve_source_secrets,
    resolve_warehouse_key,
    resolve_warehouse_url,
)
from ingest.settings import Settings, load_settings, read_environment
from ingest.warnings import warnings_of

_PART = Part("configuration")
_PREFIX = "HOOKMART_"
_REFERENCE = re.compile(r"\benv:([A-Za-z_]\w*)")


def read_configuration(path: Path, environ: Mapping[str, str]) -> tuple[Settings | None, list[Finding]]:
    """Return the settings at *path*, None where they cannot be used, and what there is to say about the file."""
    try:
        settings = load_settings(path, environ)
    except SettingsError as error:
        return None, [_PART.wrong(fault) for fault in error.faults]
    return settings, [_PART.good(f"{settings.path} can be used."), *_examined(settings, environ)]


def _examined(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    if not settings.sources:
        yield _PART.warning(f"In {settings.path} there is no source, so nothing is received; add a [sources.NAME].")
    yield from _unread_variables(settings, environ)
    yield from _secrets(settings, environ)
    yield from _warehouse_secrets(settings, environ)
    yield from map(_PART.warning, warnings_of(settings))
    beside = settings.path.parent / ".env"
    if beside.exists() and beside.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield _PART.warning(f"Others on this machine may read {beside}, which holds secrets; run `chmod 600 {beside}`.")


def _unread_variables(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Of variables that look like settings and are none; a secret may be named as it likes."""
    named = set(_REFERENCE.findall(settings.path.read_text(encoding="utf-8")))
    sections = {name.lower() for name in Settings.model_fields} - {"path"}
    for name in sorted(read_environment(settings.path, environ)):
        section, parts, _ = name[len(_PREFIX) :].lower().partition("__")
        if name.upper().startswith(_PREFIX) and parts and section not in sections and name not in named:
            yield _PART.warning(
                f"The variable {name} sets nothing, since there is no section {section!r}; correct its spelling."
            )


def _secrets(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    used: Counter[bytes] = Counter()
    readable = 0
    for name, source in settings.sources.items():
        try:
            held = resolve_source_secrets(settings.model_copy(update={"sources": {name: source}}), environ)[name]
        except SettingsError as error:
            yield _PART.wrong(str(error))
            continue
        for reference in held.unreadable:
            yield _PART.wrong(
                f"The secret of source {name!r} in {reference} cannot be read by this user; until it can, what only it"
                " would verify is answered 503. Write it there, or mend its permissions."
            )
        readable += len(held.secrets)
        used.update({secret.key for secret in held.secrets})
    if readable:
        yield _PART.good(f"All secrets can be read, and are long enough: {readable}.")
    if any(count > 1 for count in used.values()):
        yield _PART.warning(
            "Two sources share a secret, so either sender can write the other's events; give each its own."
        )
    try:
        resolve_privacy_key(settings, environ)
    except SettingsError as error:
        yield _PART.wrong(str(error))


def _warehouse_secrets(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    if settings.warehouse.credentials is None:
        return
    try:
        resolve_warehouse_url(settings, environ)
        resolve_warehouse_key(settings, environ)
    except SettingsError as error:
        yield _PART.wrong(str(error))
