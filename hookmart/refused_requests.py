"""The refused requests of a configuration: who judges them today, and how they are shown."""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from hookmart.terminal import err, out
from ingest.door import sources_of
from ingest.errors import SettingsError
from ingest.refused_directory import RefusedDirectory
from ingest.refused_request import RefusedRequest
from ingest.reverify import Judge, RefusedGroup, ReverifyReport, group_refused, judge_of
from ingest.secrets import resolve_privacy_key, resolve_source_secrets
from ingest.settings import Settings


def judge_for(settings: Settings) -> Judge:
    """
    Return the judgement of the configured sources with the secrets of now.

    Raises:
        SettingsError: A secret is missing or weak.
    """
    secrets = resolve_source_secrets(settings, os.environ)
    for name, each in secrets.items():
        for reference in each.unreadable:
            err.print(f"hookmart: {reference} of {name} cannot be read; what it signed stays refused.", markup=False)
    return judge_of(sources_of(settings, secrets), resolve_privacy_key(settings, os.environ))


def groups_of(settings: Settings, directory: RefusedDirectory) -> list[RefusedGroup]:
    """Return what *directory* holds by source and reason; judged, unless a secret is missing."""
    judge = None
    try:
        judge = judge_for(settings)
    except SettingsError as error:
        # What is kept can be looked at all the same.
        err.print(f"hookmart: {error} Until then nobody can say what would verify.", markup=False)
    return group_refused(directory.requests(), judge)


def print_groups(groups: Sequence[RefusedGroup], *, as_json: bool) -> None:
    """Print a row for each of *groups*."""
    if as_json:
        _print_json({"groups": [asdict(group) for group in groups]})
        return
    if not groups:
        out.print("nothing is kept")
        return
    _print_columns(
        ["source", "reason", "first", "last"],
        ["requests", "bytes", "would verify", "cannot"],
        [
            [
                group.source_id,
                group.reason,
                group.first_received_at.partition(".")[0],
                group.last_received_at.partition(".")[0],
                f"{group.requests:,}",
                f"{group.body_bytes:,}",
                "-" if group.verifiable is None else f"{group.verifiable:,}",
                f"{group.unverifiable:,}",
            ]
            for group in groups
        ],
    )
    if any(group.verifiable for group in groups):
        out.print("`hookmart refused reverify` stages what would verify.")
    _explain_unverifiable(sum(group.unverifiable for group in groups))


def print_requests(requests: Iterable[RefusedRequest], *, as_json: bool) -> None:
    """Print a line for each of *requests*."""
    if as_json:
        _print_json({"requests": [_listed(request) for request in requests]})
        return
    for request in requests:
        out.print("  ".join(str(value) for value in _listed(request).values()), markup=False)


def print_report(report: ReverifyReport, *, is_dry_run: bool, as_json: bool) -> None:
    """Print the verdicts of each source."""
    if as_json:
        _print_json(asdict(report))
        return
    if not report.by_source:
        out.print("nothing is kept")
        return
    _print_columns(
        ["source"],
        ["would verify" if is_dry_run else "verified", "still refused", "cannot"],
        [
            [name, *(f"{count:,}" for count in asdict(verdicts).values())]
            for name, verdicts in sorted(report.by_source.items())
        ],
    )
    if report.verified and not is_dry_run:
        out.print("What verified is staged; the next `hookmart load` takes it.")
    _explain_unverifiable(report.unverifiable)


def _print_columns(texts: list[str], numbers: list[str], rows: list[list[str]]) -> None:
    # Not folded to the width of a terminal: a reason cut in two is found by nobody.
    lines = [[*texts, *numbers], *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [
            cell.ljust(width) if place < len(texts) else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        out.print("  ".join(cells), markup=False)


def _listed(request: RefusedRequest) -> dict[str, Any]:
    return {
        "delivery_id": request.delivery_id,
        "received_at": request.received_at,
        "source_id": request.source_id,
        "reason": request.reason,
        "body_bytes": request.body_bytes,
    }


def _explain_unverifiable(count: int) -> None:
    if count:
        out.print(
            f"{count:,} cannot be verified any more: they came with personal data or credentials, which are not kept;"
            " ask the platform to send them again."
        )


def _print_json(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
