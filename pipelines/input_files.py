"""The files of an input: which there are, which of them changed, and what is in one."""

import glob
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dlt.sources.filesystem import filesystem

from pipelines.input_rows import InputRefusedError, InputShape, ReadRows, read_rows
from pipelines.report_file import ReportError, open_table

_LOCK_OF_A_SPREADSHEET = "~$"
_HASHED_AT_A_TIME = 1 << 20


@dataclass(frozen=True, slots=True)
class InputFile:
    """
    One file, as it was when it was listed.

    Attributes:
        name: Below the directory before the first wildcard, with slashes.
        modified_at: In UTC without a zone, to the microsecond.
    """

    path: Path
    name: str
    modified_at: datetime
    size: int


def list_files(pattern: Path) -> list[InputFile]:
    """
    Return the files that *pattern*, a path or a glob, stands for, by name.

    Raises:
        InputRefusedError: There are none.
    """
    root, glob_below = _parted(pattern)
    found = list(_listed(root, glob_below)) if root.is_dir() else []
    if not found:
        raise InputRefusedError(f"There is no file {pattern}; put it there, or correct `path`.")
    return sorted(found, key=lambda file: file.name)


def read_file(file: InputFile, shape: InputShape) -> ReadRows:
    """
    Read all of *file*.

    Raises:
        InputRefusedError: It cannot be read, or a column is not there.
    """
    try:
        header, lines_of = open_table(file.path, shape.layout)
        return read_rows(header, lines_of, shape)
    except ReportError as error:
        raise InputRefusedError(str(error)) from error


def content_hash(file: InputFile) -> str:
    """Return the SHA-256 of what is in *file*, by which it is known under another name."""
    found = hashlib.sha256()
    try:
        with file.path.open("rb") as content:
            while part := content.read(_HASHED_AT_A_TIME):
                found.update(part)
    except OSError as error:
        raise InputRefusedError(f"{file.path} cannot be read ({error}); check its permissions.") from error
    return found.hexdigest()


def _listed(root: Path, glob_below: str) -> Iterator[InputFile]:
    for item in filesystem(bucket_url=str(root), file_glob=glob_below):
        if item["file_name"].startswith(_LOCK_OF_A_SPREADSHEET):
            continue
        yield InputFile(
            path=root / item["relative_path"],
            name=item["relative_path"],
            # Built anew: dlt's is of a class of its own.
            modified_at=datetime.fromtimestamp(item["modification_date"].timestamp(), UTC).replace(tzinfo=None),
            size=item["size_in_bytes"],
        )


def _parted(pattern: Path) -> tuple[Path, str]:
    """Return the directory before the first wildcard, and the glob below it."""
    if pattern.is_file() or not glob.has_magic(str(pattern)):
        return pattern.parent, glob.escape(pattern.name)
    parts = pattern.parts
    first = next(place for place, part in enumerate(parts) if glob.has_magic(part))
    return Path(*parts[:first]), str(Path(*parts[first:]))
