"""How `hookmart reconcile` says what it found: totals first, then what could not be read, then the differences."""

import csv
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from hookmart.terminal import out, print_document
from pipelines.platform_report import PlatformReport, ReportShape
from pipelines.reconciliation import FATES, Reconciliation

_SHOWN_ROWS = 100


def write_differences(outcome: Reconciliation, path: Path) -> None:
    """Write every difference to *path*, a CSV file with a header and UTF-8."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(outcome.differences.column_names)
        for row in _plain_rows(outcome):
            writer.writerow("" if value is None else value for value in row.values())


def print_answer(
    name: str, source_id: str, shape: ReportShape, report: PlatformReport, outcome: Reconciliation, *, as_json: bool
) -> None:
    """Print *outcome* as one JSON document, or as text for people with the first hundred differences."""
    if as_json:
        print_document(_document(name, source_id, report, outcome), as_json=True)
        return
    days = "all days" if outcome.since is None else f"{outcome.since} to {outcome.until}, {outcome.timezone}"
    out.print(f"report {name}, source {source_id}, {days}", markup=False)
    _print_totals(outcome)
    for note in outcome.notes:
        out.print(f"note: {note}", markup=False)
    _print_wrong_rows(report)
    if outcome.differences.num_rows:
        _print_differences(shape, outcome)
    elif outcome.is_equal and not report.wrong_rows:
        out.print("the report and the warehouse agree")


def _document(name: str, source_id: str, report: PlatformReport, outcome: Reconciliation) -> dict[str, Any]:
    return {
        "report": name,
        "source_id": source_id,
        "since": _plain(outcome.since),
        "until": _plain(outcome.until),
        "timezone": outcome.timezone,
        "is_equal": outcome.is_equal and not report.wrong_rows,
        "is_behind": outcome.is_behind,
        "totals": [
            {
                "kind": total.kind,
                "currency": total.currency,
                "events": total.events,
                "held_events": total.held_events,
                "amount": _plain(total.amount),
                "held_amount": _plain(total.held_amount),
                **total.differences,
            }
            for total in outcome.totals
        ],
        "notes": list(outcome.notes),
        "wrong_rows": [asdict(row) for row in report.wrong_rows],
        "differences": list(_plain_rows(outcome)),
    }


def _print_totals(outcome: Reconciliation) -> None:
    table = _table("kind", "currency")
    for name in ("report", "ours", "report amount", "our amount", "difference", *FATES):
        table.add_column(name, justify="right")
    for total in outcome.totals:
        difference = None if total.amount is None else total.amount - (total.held_amount or 0)
        table.add_row(
            total.kind,
            total.currency or "-",
            *(_shown(value) for value in (total.events, total.held_events)),
            *(_shown(value) for value in (total.amount, total.held_amount, difference)),
            *(_shown(total.differences[fate]) for fate in FATES),
        )
    out.print(table)


def _print_wrong_rows(report: PlatformReport) -> None:
    for row in report.wrong_rows[:_SHOWN_ROWS]:
        out.print(f"line {row.line}: {row.reason}", markup=False)
    if len(report.wrong_rows) > _SHOWN_ROWS:
        out.print(f"and {len(report.wrong_rows) - _SHOWN_ROWS:,} more lines that cannot be read; --json names all")


def _print_differences(shape: ReportShape, outcome: Reconciliation) -> None:
    has_amounts, has_counts = shape.has("amount"), not shape.is_by_id
    names = [name for name in ("partner", "day", "currency") if shape.has(name)]
    if shape.has("timestamp"):
        names.insert(names.index("partner") + 1 if "partner" in names else 0, "day")
    table = _table("what", "kind", *(("id", "line") if shape.is_by_id else ()), *names)
    numbers = [*(("events",) if has_counts else ()), *(("amount",) if has_amounts else ())]
    for name in numbers:
        table.add_column("report" if name == "events" else "report amount", justify="right")
        table.add_column("ours" if name == "events" else "our amount", justify="right")
    if has_amounts:
        table.add_column("difference", justify="right")
    for row in outcome.differences.slice(0, _SHOWN_ROWS).to_pylist():
        what = row["fate"] if not row["differs"] else f"different {row['differs'].replace(',', ', ')}"
        table.add_row(
            what,
            row["kind"],
            *((_shown(row["id"]), _shown(row["line"])) if shape.is_by_id else ()),
            *(_both(row[name], row[f"held_{name}"]) for name in names),
            *(_shown(row[side]) for name in numbers for side in (name, f"held_{name}")),
            *((_shown(row["difference"]),) if has_amounts else ()),
        )
    out.print(table)
    more = outcome.differences.num_rows - _SHOWN_ROWS
    if more > 0:
        out.print(f"and {more:,} more differences; --output FILE.csv writes all")


def _table(*names: str) -> Table:
    table = Table(show_header=True, header_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in names:
        table.add_column(name)
    return table


def _both(value: object, held: object) -> str:
    """The one that both have, or that one of them has; otherwise ours in brackets."""
    if value is None or held is None or value == held:
        return _shown(held if value is None else value)
    return f"{_shown(value)} (ours {_shown(held)})"


def _shown(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, Decimal):
        integer, _, decimals = str(_plain(value)).partition(".")
        sign = "-" if integer.startswith("-") else ""
        return f"{sign}{int(integer.lstrip('-')):,}" + (f".{decimals}" if decimals else "")
    if isinstance(value, int):
        return f"{value:,}"
    # What others wrote may hold anything; here it is neither markup nor a terminal's commands.
    return escape("".join(each if each.isprintable() else ascii(each)[1:-1] for each in str(value)))


def _plain_rows(outcome: Reconciliation) -> Iterator[dict[str, Any]]:
    for batch in outcome.differences.to_batches():
        for row in batch.to_pylist():
            yield {name: _plain(value) for name, value in row.items()}


def _plain(value: object) -> object:
    """Amounts with no zeros at their end, days as text."""
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"
    return value.isoformat() if isinstance(value, date) else value
