"""`hookmart simulate`: an affiliate platform with faults, by the policy of a sender."""

# ruff: noqa: FBT002, PLC0415  # an option's default is how Typer learns that it is a flag; a command imports what it uses

import os
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hookmart.options import DEFAULT_CONFIG, ConfigOption, JsonOption
from hookmart.terminal import FAILED, busy, err, print_document, reported
from ingest.errors import SettingsError
from ingest.settings import load_settings
from simulator.faults import DEFAULT_FAULTS, FAULTS, Faults, unsuited

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sending.policy import Policy
    from simulator.journal import Event
    from simulator.sender import SendReport

_FAULTS_HELP = (
    "Names with a share of the events, or without one for the share in brackets; all, all=0.02, or none. "
    + "; ".join(f"{name} ({fault.share:g}): {fault.does}" for name, fault in FAULTS.items())
    + "."
)


def simulate(
    config: ConfigOption = DEFAULT_CONFIG,
    source: Annotated[str | None, typer.Option(help="Which source to play; the only one by default.")] = None,
    url: Annotated[str, typer.Option(help="Where the receiver is.")] = "http://127.0.0.1:8000",
    events: Annotated[int, typer.Option(min=1)] = 2000,
    partners: Annotated[int, typer.Option(min=1)] = 8,
    rate: Annotated[float | None, typer.Option(help="Posts a second; as fast as it goes by default.")] = None,
    connections: Annotated[int, typer.Option(min=1, help="Posts under way at once.")] = 16,
    seed: int = 1,
    faults: Annotated[str, typer.Option(help=_FAULTS_HELP)] = DEFAULT_FAULTS,
    ladder: Annotated[
        str | None, typer.Option(help="Seconds between attempts, such as 1,5,30; a platform's own by default.")
    ] = None,
    speed_up: Annotated[
        float, typer.Option("--speed-up", help="How much faster than the clock it waits between attempts.")
    ] = 1.0,
    log: Annotated[
        Path | None,
        typer.Option(help="Record every attempt here; the same command again goes on where it was, even if killed."),
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(help="End of the story; the first of this month by default.")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="Write the distinct genuine events here, a JSON line each.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Play an affiliate platform against a receiver: signed, with any faults, and retries on the platform's ladder."""
    import uvloop

    from hookmart.demonstration import end_of_story
    from hookmart.played_source import played_source
    from sending.clock import SystemClock
    from sending.delivery_log import DeliveryLog
    from simulator.delivery import deliveries
    from simulator.programme import ProgrammeSize, play_programme
    from simulator.sender import send

    with reported(), ExitStack() as stack:
        played = played_source(load_settings(config, os.environ), source, url, os.environ)
        try:
            chosen, policy, clock = Faults.parse(faults), _policy(ladder), SystemClock(speed_up)
        except ValueError as error:
            raise SettingsError(str(error)) from None
        left_out = {name: why for name, why in unsuited(played.signer.scheme).items() if chosen.share(name)}
        for name, why in left_out.items():
            err.print(f"left out: {name}, since {why}", markup=False)
        programme: Iterable[Event] = play_programme(seed, ProgrammeSize(events, partners), end_of_story(until))
        if truth is not None:
            programme = _written(programme, truth)
        show = stack.enter_context(busy("posting"))
        opened = None if log is None else stack.enter_context(DeliveryLog(log))
        report = uvloop.run(
            send(
                played.url,
                played.signer,
                deliveries(programme, chosen.without(frozenset(left_out)), seed),
                connections=connections,
                rate=rate,
                policy=policy,
                clock=clock,
                log=opened,
                signed_url=played.signed_url,
                on_progress=lambda done: show(f"{done:,}"),
            )
        )
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
