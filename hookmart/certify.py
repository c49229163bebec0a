"""`hookmart certify`: what has to hold before a platform is pointed at a receiver, tried on one that runs."""

# ruff: noqa: FBT002, PLC0415  # an option's default is how Typer learns that it is a flag; a command imports what it uses

import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit, urlunsplit

import typer

from hookmart.options import DEFAULT_CONFIG, ConfigOption, JsonOption, SigningKeyOption
from hookmart.terminal import FAILED, err, print_document, reported
from ingest.errors import SettingsError
from ingest.settings import Settings, load_settings

if TYPE_CHECKING:
    from hookmart.certification.specimen import Specimens
    from ingest.secrets import SourceSecrets
    from ingest.source_settings import SourceSettings
    from sending.signing import Signer

_MOST_EVENTS = 10_000


def certify(
    url: Annotated[str, typer.Argument(metavar="URL", help="Of the receiver, or of the source's webhook on it.")],
    config: ConfigOption = DEFAULT_CONFIG,
    source: Annotated[str | None, typer.Option(help="Whose scheme and secrets; the only source by default.")] = None,
    volume: Annotated[int, typer.Option(min=0, max=_MOST_EVENTS, help="Events of the step on high volume.")] = 200,
    timeout: Annotated[float, typer.Option(min=0.1, max=60, help="Seconds until a platform gives up.")] = 10.0,
    payloads: Annotated[
        Path | None, typer.Option(help="Directory of a mapped platform's captured payloads, *.json.")
    ] = None,
    count_url: Annotated[
        str | None, typer.Option(help="Of another's receiver: how often it holds {event_id}, as a number.")
    ] = None,
    arrival: Annotated[
        bool | None, typer.Option("--arrival/--no-arrival", help="Look into stage and warehouse; if they are there.")
    ] = None,
    wait: Annotated[float, typer.Option(min=0, max=3600, help="Seconds until all has arrived.")] = 60.0,
    live: Annotated[
        bool, typer.Option("--live", help="Live events, which marts count for good. Staging only.")
    ] = False,
    exercise_limits: Annotated[
        bool, typer.Option("--exercise-limits", help="Hold so much that others are turned away (429). Staging only.")
    ] = False,
    stage_fails: Annotated[
        bool, typer.Option("--stage-fails", help="Its stage was made to fail: try only whether it says so (503).")
    ] = False,
    signing_key: SigningKeyOption = None,
    html: Annotated[Path | None, typer.Option(help="Write the report to this file too, as one HTML page.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before anything is sent.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Try on a running receiver what has to hold before going live; exit 1 if anything fails."""
    from hookmart.certification.arrival import Arrival
    from hookmart.certification.count_url import CountUrl
    from hookmart.certification.page import certificate_page
    from hookmart.certification.report import Printer, certificate_document, print_summary
    from hookmart.certification.run import Extent
    from hookmart.certification.run import certify as run
    from hookmart.certification.trial import Trial
    from hookmart.certification.wire import Wire
    from hookmart.chosen_source import chosen_source

    with reported():
        settings = load_settings(config, os.environ)
        name = chosen_source(settings, source)
        held = _secrets_of(settings, name)
        extent = Extent(
            volume,
            None if arrival is False else Arrival(settings, name, wait, is_forced=arrival is True),
            None if count_url is None else CountUrl(count_url),
            settings.receiver.in_flight_high_bytes if exercise_limits else None,
            stage_fails,
        )
        with Wire(_webhook(url, name, held.path_token), timeout) as wire:
            trial = Trial(
                wire,
                settings.sources[name],
                _signers(settings, name, held, signing_key),
                _known_url(settings, wire.url),
                _specimens(settings.sources[name], payloads, is_live=live),
                lambda: datetime.now(UTC),
            )
            _warn(url, volume, is_live=live, is_flood=exercise_limits, is_asked=not yes)
            printer = Printer()
            certificate = run(trial, name, extent, url, (lambda _check: None) if as_json else printer.print)
        if html is not None:
            html.parent.mkdir(parents=True, exist_ok=True)
            html.write_text(certificate_page(certificate), encoding="utf-8")
        if as_json:
            print_document(certificate_document(certificate), as_json=True)
        else:
            print_summary(certificate)
        if not certificate.is_passed:
            raise typer.Exit(FAILED)


def _secrets_of(settings: Settings, name: str) -> "SourceSecrets":
    from ingest.secrets import resolve_source_secrets

    # Of this source alone: those of others may be set on the receiver's machine only.
    only = settings.model_copy(update={"sources": {name: settings.sources[name]}})
    held = resolve_source_secrets(only, os.environ)[name]
    if held.unreadable:
        raise SettingsError(f"{', '.join(held.unreadable)} cannot be read, and requests are signed with it.")
    return held


def _signers(settings: Settings, name: str, held: "SourceSecrets", signing_key: str | None) -> tuple["Signer", ...]:
    from ingest.secrets import resolve_signing_key
    from sending.signing import CannotSign, Signer

    source = settings.sources[name]
    if signing_key is not None:
        try:
            return (Signer.of(source.signing, held.secrets, resolve_signing_key(settings, signing_key, os.environ)),)
        except CannotSign as error:
            raise SettingsError(str(error)) from None
    if not source.scheme.needs_secret:
        return (Signer(source.signing, None),)
    signers = tuple(Signer(source.signing, secret) for secret in held.secrets if not secret.is_public)
    if not signers:
        raise SettingsError(
            "With the sender's public key nobody but the sender can sign, so nothing can be tried; say --signing-key"
            " with the private key of a pair of your own, in staging, or have the sender send test events."
        )
    return signers


def _specimens(source: "SourceSettings", payloads: Path | None, *, is_live: bool) -> "Specimens":
    from hookmart.certification.sample_events import SampleEvents
    from hookmart.certification.specimen import Specimens, read_payloads

    samples = SampleEvents(secrets.token_hex(4), datetime.now(UTC), is_live=is_live)
    mapping = source.platform
    if mapping is None:
        if payloads is not None:
            raise SettingsError("--payloads is for a source with a `mapping`; this one speaks the contract itself.")
        return Specimens(samples)
    if is_live:
        raise SettingsError("--live says nothing of a source with a `mapping`: its payloads are the platform's own.")
    return Specimens(samples, () if payloads is None else read_payloads(payloads, mapping), is_mapped=True)


def _webhook(url: str, name: str, token: str | None) -> str:
    """A bare address is our receiver's; one with a path is taken as it is."""
    parts = urlsplit(url)
    if parts.path.strip("/"):
        return url
    return urlunsplit(parts._replace(path=f"/webhooks/{name}" + ("" if token is None else f"/{token}")))


def _known_url(settings: Settings, url: str) -> str:
    if settings.receiver.public_url is None:
        return url
    parts = urlsplit(url)
    return settings.receiver.public_url + parts.path + (f"?{parts.query}" if parts.query else "")


def _warn(url: str, volume: int, *, is_live: bool, is_flood: bool, is_asked: bool) -> None:
    err.print(
        f"About {volume + 80:,} requests go to {url}, forged and broken ones among them, of a partner whose name is"
        " hookmart certify. "
        + (
            "They are live events, and stay in the marts for good: only ever do this in staging."
            if is_live
            else "They are marked as test events, which marts leave out."
        )
        + (" Whoever else posts is turned away for some seconds." if is_flood else ""),
        markup=False,
    )
    if is_asked and err.is_terminal:
        typer.confirm("Go on?", abort=True, err=True)
