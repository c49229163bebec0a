"""The documentation as tests read it: its sections, its tables, its terms and its examples."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCUMENTS = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))}


def section_of(document: str, heading: str) -> str:
    """The text under *heading*, up to the next one of its rank or above, or to the next below it."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", document, re.MULTILINE | re.DOTALL)
    assert found, f"there is no section {heading!r}"
    return found[1]


def rows_of(text: str) -> Iterator[list[str]]:
    for line in text.splitlines():
        if line.startswith("|") and not line.startswith("|---"):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def table_of(text: str, first_header: str) -> list[list[str]]:
    """The rows of the tables in *text* whose first column is headed *first_header*."""
    rows: list[list[str]] = []
    is_wanted = False
    previous = ""
    for line in text.splitlines():
        if line.startswith("|---"):
            is_wanted = next(rows_of(previous))[0] == first_header
        elif not line.startswith("|"):
            is_wanted = False
        elif is_wanted:
            rows.extend(rows_of(line))
        previous = line
    return rows


def terms_of(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


def blocks_of(document: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", document, re.MULTILINE | re.DOTALL)


def slug_of(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
