"""How quarantined events are shown. What a sender wrote never reaches a terminal as anything but text."""

import json
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from hookmart.status import stage_line
from hookmart.terminal import out, print_document
from pipelines.quarantine import QuarantinedEvent, QuarantineGroup, ReplayReport

_HEADINGS = ("source", "reason", "event type", "version", "events", "open", "first seen", "last seen")
_PAYLOADS = ("payload", "payload_base64")
_SPACE = re.compile(r'("(?:[^"\\]|\\.)*")|[ \t\n\r]+')


def print_groups(groups: Sequence[QuarantineGroup], stage: dict[str, int], *, as_json: bool) -> None:
    """Print *groups*, and how much of the *stage* nobody has looked into yet."""
    if as_json:
        documents = [{name: _plain(value) for name, value in asdict(group).items()} for group in groups]
        print_document({"stage": stage, "groups": documents}, as_json=True)
        return
    if groups:
        table = Table(show_header=True, header_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for heading in _HEADINGS:
            table.add_column(heading, justify="right" if heading in {"events", "open"} else "left")
        for group in groups:
            table.add_row(
                *(_text(name) for name in (group.source_id, group.reason, group.event_type, group.schema_version)),
                f"{group.events:,}",
                f"{group.open:,}",
                f"{group.first_seen:%Y-%m-%d %H:%M:%S}",
                f"{group.last_seen:%Y-%m-%d %H:%M:%S}",
            )
        out.print(table)
    else:
        out.print("nothing waits in quarantine")
    out.print(f"staged, not loaded and not looked at: {stage_line(stage)}")


def print_events(events: Sequence[QuarantinedEvent], *, as_json: bool) -> None:
    """Print each row of *events* and its payload: to the byte as kept, and easier to read where somebody looks."""
    documents = [{name: _plain(value) for name, value in asdict(event).items()} for event in events]
    if as_json:
        print_document({"events": documents}, as_json=True)
        return
    for event, document in zip(events, documents, strict=True):
        print_document(
            {name: _legible(value) for name, value in document.items() if name not in _PAYLOADS}, as_json=False
        )
        out.print()
        if out.is_terminal:
            out.print(Text(_pretty(event.body)))
        else:
            sys.stdout.flush()
            sys.stdout.buffer.write(event.body + b"\n")
            sys.stdout.buffer.flush()


def replay_document(report: ReplayReport, *, is_dry_run: bool, as_json: bool) -> dict[str, Any]:
    """Return what a replay did."""
    remaining = dict(report.remaining.most_common())
    told = ", ".join(f"{reason} {count}" for reason, count in remaining.items()) or None
    return {
        "examined": report.examined,
        "fitting": report.fitting,
        "staged": 0 if is_dry_run else report.fitting,
        "still_quarantined": report.examined - report.fitting,
        "reasons": remaining if as_json else told,
    }


def _plain(value: object) -> object:
    return f"{value.isoformat(timespec='microseconds')}Z" if isinstance(value, datetime) else value


def _text(value: str | None) -> Text:
    return Text("-" if value is None else _printable(value))


def _legible(value: object) -> object:
    return _printable(value) if isinstance(value, str) else value


def _pretty(body: bytes) -> str:
    text = body.decode(errors="backslashreplace")
    with suppress(ValueError, RecursionError):  # no JSON, or too deep: as it is
        document = json.loads(text)
        # A name that stands twice, or a number spelled in another way, may be just why it waits.
        if json.dumps(document, separators=(",", ":"), ensure_ascii=False) == _SPACE.sub(r"\1", text):
            text = json.dumps(document, indent=2, ensure_ascii=False)
    return "\n".join(map(_printable, text.split("\n")))


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
