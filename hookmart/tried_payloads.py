"""Payloads tried on a mapping: read, mapped and shown as the receiver and the loader would have them."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hookmart.terminal import out
from ingest.errors import SettingsError
from ingest.platform_privacy import without_platform_personal_data
from mappings.errors import MappingError, Unmappable
from mappings.mapping import Mapping
from mappings.mapping_file import load_mapping
from models.currencies import CURRENCY_EXPONENTS


@dataclass(frozen=True, slots=True)
class TriedPayload:
    """
    What became of one payload.

    Attributes:
        path: Of its file.
        platform_type: The platform's word for it, where it could be read.
        events: Of the contract, in their order.
        ignored: Why the mapping makes no event of it; None where it does, or where it does not fit.
        fault: The sentence that says why it does not fit; None where it does.
    """

    path: str
    platform_type: str | None
    events: tuple[dict[str, Any], ...] = ()
    ignored: str | None = None
    fault: str | None = None


def mapping_named(name: str, currency: str | None) -> Mapping:
    """
    Return the mapping that *name* stands for on the command line.

    Raises:
        SettingsError: There is none, or it cannot be used.
    """
    if currency is not None and currency.upper() not in CURRENCY_EXPONENTS:
        raise SettingsError(f"{currency!r} is not a known currency; give an ISO 4217 code such as EUR.")
    try:
        return load_mapping(name, Path.cwd()).in_currency(None if currency is None else currency.upper())
    except MappingError as error:
        text = str(error)
        raise SettingsError(f"{text[0].upper()}{text[1:]}.") from None


def tried(mapping: Mapping, path: Path) -> TriedPayload:
    """
    Return what *mapping* makes of the payload in *path*, which loses its personal data first, as at the door.

    Raises:
        OSError: It cannot be read.
    """
    body = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    try:
        mapped = mapping.apply(without_platform_personal_data(body, None, mapping.personal))
    except Unmappable as fault:
        return TriedPayload(str(path), fault.platform_type, fault=f"{fault.reason}: {fault.detail}")
    events = tuple(json.loads(event.payload) for event in mapped.events)
    return TriedPayload(str(path), mapped.platform_type, events, mapped.reason_ignored)


def print_tried(results: Sequence[TriedPayload], *, as_json: bool) -> None:
    """Print each of *results*: its events, or the sentence."""
    if as_json:
        _write({"payloads": [_document(result) for result in results]})
        return
    for result in results:
        out.print(f"{result.path}: {result.platform_type or 'no type'}", markup=False)
        if result.fault is not None:
            out.print(f"does not fit: {result.fault}", markup=False)
        elif result.ignored is not None:
            out.print(f"ignored: {result.ignored}", markup=False)
        for event in result.events:
            out.print(json.dumps(event, indent=2, ensure_ascii=False), markup=False)


def print_mappings(mappings: Sequence[Mapping], *, as_json: bool) -> None:
    """Print what each of *mappings* makes of which of the platform's types."""
    if as_json:
        _write({"mappings": [_summary(mapping) for mapping in mappings]})
        return
    for mapping in mappings:
        out.print(mapping.name, markup=False)
        for platform_type, event_types in _summary(mapping)["maps"].items():
            out.print(f"  {platform_type} -> {', '.join(event_types)}", markup=False)
        if mapping.ignored:
            out.print(f"  ignored: {', '.join(sorted(mapping.ignored))}", markup=False)


def _summary(mapping: Mapping) -> dict[str, Any]:
    maps: dict[str, list[str]] = {}
    for rule in mapping.rules:
        for platform_type in rule.platform_types:
            made = maps.setdefault(platform_type, [])
            if rule.event_type not in made:
                made.append(rule.event_type)
    return {
        "name": mapping.name,
        "documentation": list(mapping.documentation),
        "maps": maps,
        "ignored": sorted(mapping.ignored),
    }


def _document(result: TriedPayload) -> dict[str, Any]:
    return {
        "path": result.path,
        "type": result.platform_type,
        "events": list(result.events),
        "ignored": result.ignored,
        "fault": result.fault,
    }


def _write(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
