"""`hookmart simulate`: an affiliate platform with faults, by the policy of a sender."""

# ruff: noqa: FBT002, PLC0415  # an option's default is how Typer learns that it is a flag; a command imports what it uses

import os
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hookmart.options import DEFAULT_CONFIG, ConfigOption, JsonOption, SigningKeyOption
from hookmart.terminal import FAILED, busy, err, print_document, reported
from ingest.errors import SettingsError
from ingest.settings import load_settings
from simulator.faults import DEFAULT_FAULTS, FAULTS, Faults, unsuited
from simulator.flavour import Flavour

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sending.policy import Policy
    from simulator.journal import Event
    from simulator.sender import SendReport

_LIVE_RATE = 10.0

_FAULTS_HELP = (
    "Names with a share of the events, or without one for the share in brackets; all, all=0.02, or none. "
    + "; ".join(f"{name} ({fault.share:g}): {fault.does}" for name, fault in FAULTS.items())
    + "."
)


def simulate(
    config: ConfigOption = DEFAULT_CONFIG,
    source: Annotated[str | None, typer.Option(help="Which source to play; the only one by default.")] = None,
    url: Annotated[str, typer.Option(help="Where the receiver is.")] = "http://127.0.0.1:8000",
    flavour: Annotated[Flavour, typer.Option(help="What the programme sells.")] = Flavour.igaming,
    events: Annotated[int, typer.Option(min=1)] = 2000,
    partners: Annotated[int, typer.Option(min=1)] = 12,
    rate: Annotated[
        float | None, typer.Option(help="Posts a second; as fast as it goes by default, 10 with --live.")
    ] = None,
    connections: Annotated[int, typer.Option(min=1, help="Posts under way at once.")] = 16,
    seed: int = 1,
    faults: Annotated[str, typer.Option(help=_FAULTS_HELP)] = DEFAULT_FAULTS,
    ladder: Annotated[
        str | None, typer.Option(help="Seconds between attempts, such as 1,5,30; a platform's own by default.")
    ] = None,
    speed_up: Annotated[
        float, typer.Option("--speed-up", help="How much faster than the clock it waits between attempts.")
    ] = 1.0,
    signing_key: SigningKeyOption = None,
    log: Annotated[
        Path | None,
        typer.Option(help="Record every attempt here; the same command again goes on where it was, even if killed."),
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(help="End of the story; the first of this month by default.")
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Have it all happen now, instead of over the months before --until.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Write the operator's files, the platform's report and the truth here.")
    ] = None,
    journal: Annotated[
        Path | None, typer.Option(help="Write the distinct genuine events here, a JSON line each.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Post nothing: compare the truth with the marts; exit 1 where they differ.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """
    Play an affiliate platform against a receiver: signed, with any faults, and retries on the platform's ladder.

    With --check, compare what is true of it with what the marts say.
    """
    import uvloop

    from hookmart.chosen_source import chosen_source
    from hookmart.played_post import post_programme
    from hookmart.played_programme import PlayedProgramme, truth_of
    from hookmart.played_source import played_source
    from hookmart.truth_check import check_truth, print_check
    from sending.clock import SystemClock
    from sending.delivery_log import DeliveryLog
    from simulator.programme import ProgrammeSize
    from simulator.sender import send

    with reported(), ExitStack() as stack:
        settings = load_settings(config, os.environ)
        if live and (log is not None or until is not None):
            raise SettingsError(
                "What happens now cannot be taken up again, and has no other end: leave --log or --until."
            )
        told = PlayedProgramme(
            settings, chosen_source(settings, source), flavour, seed, ProgrammeSize(events, partners)
        )
        if check:
            if live and out is None:
                raise SettingsError("What happened live does not happen again; say --out with where its truth is.")
            found = check_truth(settings, told.source, truth_of(told, until, out))
            print_check(found, as_json=as_json)
            raise typer.Exit(FAILED if found.differences else 0)
        played = played_source(settings, source, url, os.environ, signing_key)
        try:
            chosen, policy, clock = Faults.parse(faults), _policy(ladder), SystemClock(speed_up)
        except ValueError as error:
            raise SettingsError(str(error)) from None
        left_out = {name: why for name, why in unsuited(played.signer.scheme).items() if chosen.share(name)}
        for name, why in left_out.items():
            err.print(f"left out: {name}, since {why}", markup=False)
        if live:
            rate = _LIVE_RATE if rate is None else rate
        close_months = None
        if out is not None and not live:
            close_months = told.closing(until, out, is_gone_on_with=log is not None and log.exists())
        programme: Iterable[Event] = told.events(until, out, live_rate=rate if live else None)
        if journal is not None:
            programme = _written(programme, journal)
        show = stack.enter_context(busy("posting"))
        opened = None if log is None else stack.enter_context(DeliveryLog(log))
        post = partial(
            send,
            played.url,
            played.signer,
            connections=connections,
            rate=rate,
            policy=policy,
            clock=clock,
            log=opened,
            signed_url=played.signed_url,
            on_progress=lambda done: show(f"{done:,}"),
        )
        faults_played = chosen.without(frozenset(left_out))
        report = uvloop.run(post_programme(post, programme, faults_played, seed, close_months))
        print_document(_document(report), as_json=as_json)
        if report.undelivered or report.unexpected:
            raise typer.Exit(FAILED)


def _document(report: "SendReport") -> dict[str, object]:
    return {
        "posted": report.sent,
        "accepted": report.accepted,
        "quarantined": report.quarantined,
        "refused": report.refused,
        "aborted": report.aborted,
        "undelivered": report.undelivered,
        "duplicates": report.duplicates,
        "retries": report.retries,
        "unexpected": dict(report.unexpected) or None,
    }


def _policy(ladder: str | None) -> "Policy":
    from sending.policy import Policy

    if ladder is None:
        return Policy()
    try:
        return Policy(ladder=tuple(float(rung) for rung in ladder.split(",") if rung.strip()))
    except ValueError:
        raise ValueError(f"{ladder!r} is no ladder; write seconds, each 0 or more, such as 1,5,30.") from None


def _written(events: "Iterable[Event]", path: Path) -> "Iterator[Event]":
    with path.open("wb") as file:
        for event in events:
            file.write(event.body + b"\n")
            yield event
