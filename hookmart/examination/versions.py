"""What is installed, against what the project asks for and what its lock was tested with."""

import platform
import re
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement

from hookmart.examination.finding import Finding, Part

_PART = Part("versions")

LOCK = Path(__file__).parents[2] / "requirements.lock"
"""Beside the checkout; an installed wheel has none."""

_LINE = ("duckdb", "dlt", "dbt-core", "dbt-duckdb")
_LOCKED = re.compile(r"^([A-Za-z0-9_.-]+)(?:\[[^]]*\])?==([^ \\]+)", re.MULTILINE)
_ADAPTERS = {
    "postgres": "dbt-postgres",
    "ducklake": "duckdb-extension-ducklake",
    "snowflake": "dbt-snowflake",
    "bigquery": "dbt-bigquery",
    "redshift": "dbt-redshift",
}


def examined_versions(destination: str | None, lock: Path = LOCK) -> Iterator[Finding]:
    """Yield what is installed; *destination* is the warehouse's, None where the configuration does not say."""
    yield _PART.good(f"Python {platform.python_version()}, hookmart {version('hookmart')}.")
    adapter = _ADAPTERS.get(destination or "")
    wanted = (*_LINE, *((adapter,) if adapter is not None else ()))
    installed = {name: _installed(name) for name in wanted}
    for name, found in installed.items():
        if found is None:
            extra = f"hookmart[{destination}]" if name == adapter else "hookmart"
            yield _PART.wrong(f"{name} is not installed; run `make setup`, or install {extra}.")
    found_versions = {name: found for name, found in installed.items() if found is not None}
    yield from _asked_for(found_versions)
    yield from _against_lock(found_versions, lock)


def _asked_for(installed: Mapping[str, str]) -> Iterator[Finding]:
    for requirement in map(Requirement, requires("hookmart") or ()):
        found = installed.get(requirement.name)
        is_ours = requirement.marker is None or any(
            requirement.marker.evaluate({"extra": extra}) for extra in ("", *_ADAPTERS)
        )
        if found is not None and is_ours and not requirement.specifier.contains(found, prereleases=True):
            yield _PART.wrong(
                f"{requirement.name} {found} is installed, and hookmart needs {requirement.specifier}; run `make"
                " setup`, or install hookmart again."
            )


def _against_lock(installed: Mapping[str, str], lock: Path) -> Iterator[Finding]:
    shown = ", ".join(f"{name} {found}" for name, found in installed.items())
    if not lock.is_file():
        yield _PART.good(f"{shown}; there is no lock beside this installation to compare with.")
        return
    locked = dict(_LOCKED.findall(lock.read_text(encoding="utf-8")))
    differing = {name: found for name, found in installed.items() if locked.get(name, found) != found}
    for name, found in differing.items():
        yield _PART.warning(
            f"{name} {found} is installed, and {locked[name]} is what the lock was tested with; run `make setup`."
        )
    if not differing:
        yield _PART.good(f"{shown}, as locked.")


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
