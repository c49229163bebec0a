"""The payloads of platforms, as these post them, and the mappings that come with hookmart."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from ingest.platform_privacy import without_platform_personal_data
from mappings.mapping import Mapping
from mappings.mapping_file import builtin_names, load_mapping

PLATFORMS = Path(__file__).parent / "fixtures" / "platforms"
NAMES = builtin_names()
PRIVACY_KEY = b"k" * 32
CURRENCIES = {"firstpromoter": "EUR"}
"""Of the sources whose payloads name none."""

PERSONAL = (b"zzyzx", b"customer.example", b"partner.example")
"""What only people's names and addresses hold, in small letters."""


@cache
def mapping_of(platform: str) -> Mapping:
    """The mapping of *platform*, as a source of these tests has it."""
    return load_mapping(platform, PLATFORMS).in_currency(CURRENCIES.get(platform))


def files_of(platform: str) -> list[Path]:
    """Its payloads, by name."""
    return sorted((PLATFORMS / platform).glob("*.json"))


FILES = [path for name in NAMES for path in files_of(name)]


def cleaned(path: Path) -> bytes:
    """The payload as the stage holds it."""
    return without_platform_personal_data(path.read_bytes(), PRIVACY_KEY, mapping_of(path.parent.name).personal)


def expected(path: Path) -> list[dict[str, Any]]:
    """The events that the payload tells of."""
    events: list[dict[str, Any]] = json.loads((path.parent / "expected" / path.name).read_text(encoding="utf-8"))
    return events


def name_of(path: Path) -> str:
    """For test ids."""
    return f"{path.parent.name}-{path.stem}"
