"""The stage: whether it can be written, renamed and locked in, and what waits or lies aside in it."""

import fcntl
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from hookmart.examination.finding import Finding, Part
from ingest.damage import survey
from ingest.settings import Settings
from ingest.staging import NEW, OPEN, UNREADABLE, Stage
from pipelines.status import read_status

_PART = Part("stage")

_LONG_SECONDS = 300.0
"""A loader that runs takes a segment within seconds."""


def examined_stage(settings: Settings, now: datetime) -> Iterator[Finding]:
    """Yield what the stage is like; nothing in it is changed, but for files of our own that go again."""
    stage = Stage(settings.stage.directory)
    if not stage.root.exists():
        yield _PART.good(f"{stage.root} is not there yet; the receiver makes it.")
        return
    yield from _quarantined(settings)
    yield from _abilities(stage.root)
    try:
        yield from _waiting(stage, now)
        yield from _abandoned(stage)
        yield from _aside(stage.root)
    except OSError as error:
        yield _PART.wrong(
            f"{stage.root} cannot be looked into ({error.strerror}); make it a directory that this user may read, and"
            " run loader and receiver as the same user."
        )


def _abilities(root: Path) -> Iterator[Finding]:
    first, second = (root / f".doctor-{uuid4().hex}" for _ in range(2))
    try:
        first.write_bytes(b"first")
        second.write_bytes(b"second")
        is_renamed = _is_replaced(first, second)
        is_locked = _locks_hold(second)
    except OSError as error:
        yield _PART.wrong(
            f"{root} cannot be written by this user ({error.strerror}), so the receiver would answer 503; give it to"
            " the user that runs the receiver, or run this as that user."
        )
        return
    finally:
        for path in (first, second):
            if os.access(path, os.F_OK):
                path.unlink()
    if not is_renamed:
        yield _PART.wrong(f"A rename in {root} does not replace what is there; use a local disk.")
    if not is_locked:
        yield _PART.wrong(
            f"Locks in {root} do not hold: a loader could take a segment that is being written. Use a local disk."
        )
    if is_renamed and is_locked:
        yield _PART.good(f"{root} can be written, renamed and locked in.")


def _is_replaced(first: Path, second: Path) -> bool:
    try:
        first.rename(second)
    except FileExistsError:
        return False
    return second.read_bytes() == b"first" and not first.exists()


def _locks_hold(path: Path) -> bool:
    with path.open("rb") as one, path.open("rb") as other:
        try:
            fcntl.flock(one, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False  # there are none, as on a share without a lock server
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _waiting(stage: Stage, now: datetime) -> Iterator[Finding]:
    closed = stage.closed_segments()
    if not closed:
        yield _PART.good("Nothing waits for the loader.")
        return
    unreadable = [segment.path.name for segment in closed if not os.access(segment.path, os.R_OK)]
    if unreadable:
        yield _PART.wrong(
            f"{len(unreadable)} segments cannot be read by this user ({unreadable[0]} first); run loader and"
            " receiver as the same user."
        )
    oldest = (now - closed[0].made_at.astimezone(UTC)).total_seconds()
    says = f"{len(closed):,} segments wait for the loader, the oldest for {oldest:,.0f} s"
    if oldest > _LONG_SECONDS:
        yield _PART.warning(f"{says}: it stands still. Start `hookmart load --follow`, or look at what it prints.")
    else:
        yield _PART.good(f"{says}.")


def _abandoned(stage: Stage) -> Iterator[Finding]:
    """Of segments that no receiver holds any more: what the next load will make of them."""
    held = {segment.path for segment in stage.live_segments()}
    for path in sorted([*stage.root.glob(f"*{OPEN}"), *stage.root.glob(f"*{NEW}")]):
        try:
            if path in held or not path.stat().st_size or _is_held(path):
                continue
            with path.open("rb") as file:
                parts, size = survey(file), path.stat().st_size
        except FileNotFoundError:
            continue  # closed since it was listed
        if parts.unreadable:
            yield _PART.wrong(
                f"{path.name} holds lines that cannot be read, and may have been acknowledged: look at this disk. The"
                f" next load keeps them aside, as *{UNREADABLE}, and loads the rest."
            )
        else:
            torn = (
                f", without the {size - parts.end} bytes of a line that was never acknowledged"
                if parts.end != size
                else ""
            )
            yield _PART.warning(
                f"{path.name} was left by a receiver that died; the next `hookmart load` closes and loads it{torn}."
            )


def _is_held(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _aside(root: Path) -> Iterator[Finding]:
    found = sorted(root.glob(f"*{UNREADABLE}"))
    if found:
        yield _PART.wrong(
            f"{len(found)} files lie aside that could not be read ({found[0].name} first); what is in them may"
            " have been acknowledged. Look at this disk, have the senders send again what they sent when these files"
            " were made, and then move the files elsewhere."
        )


def _quarantined(settings: Settings) -> Iterator[Finding]:
    for name, source in read_status(settings.warehouse.state).sources.items():
        if source.quarantined_open:
            yield _PART.warning(
                f"{source.quarantined_open:,} events of source {name!r} wait in quarantine; `hookmart quarantine list`"
                " says why."
            )
        if source.unexplained:
            yield _PART.wrong(
                f"{source.unexplained:,} lines of source {name!r} are unexplained: received, and in no table. Keep"
                " stage and archive as they are, and look at the days that `hookmart status --json` names."
            )
