"""`hookmart deliveries`: what the log of a sender says."""

# ruff: noqa: FBT002  # an option's default is how Typer learns that it is a flag

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from hookmart.options import JsonOption
from hookmart.terminal import OperationError, out, print_document, reported
from sending.log_reading import LogReader
from sending.policy import State

deliveries_app = typer.Typer(help="What a sender's log says of every delivery.", no_args_is_help=True)

LogArgument = Annotated[Path, typer.Argument(help="The file that was given as --log.")]


@deliveries_app.command("list")
def list_deliveries(
    log: LogArgument,
    state: Annotated[State, typer.Option(help="Those that stand so.")] = State.undeliverable,
    most: Annotated[int, typer.Option(min=1, help="No more than so many, the oldest first.")] = 100,
    as_json: JsonOption = False,
) -> None:
    """How many deliveries stand where, and those that were given up, or wait, or were refused."""
    with reported():
        reader = LogReader(log)
        counts, found = reader.counts(), reader.deliveries(state, most)
        if as_json:
            shown = [
                {**asdict(each), "first_at": _moment(each.first_at), "due_at": _moment(each.due_at)} for each in found
            ]
            out.print(json.dumps({**counts, "deliveries": shown}), markup=False)
            return
        print_document({name.value: count for name, count in counts.items()}, as_json=False)
        if found:
            rows = [
                (
                    each.delivery_id,
                    each.kind,
                    str(each.attempts),
                    each.last_answer,
                    _moment(each.first_at),
                    _moment(each.due_at),
                )
                for each in found
            ]
            out.print(_table(("delivery", "kind", "attempts", "last answer", "first tried", "due"), rows))


@deliveries_app.command("show")
def show_delivery(
    log: LogArgument,
    wanted: Annotated[str, typer.Argument(metavar="ID", help="Of an event, or of a delivery.")],
    as_json: JsonOption = False,
) -> None:
    """Every attempt of an event: when, what was answered, and how long it took."""
    with reported():
        attempts = LogReader(log).attempts(wanted)
        if not attempts:
            raise OperationError(f"{log} has no attempt of {wanted!r}; `hookmart deliveries list` shows ids.")
        if as_json:
            out.print(json.dumps([{**asdict(each), "at": _moment(each.at)} for each in attempts]), markup=False)
            return
        rows = [
            (
                each.delivery_id, str(each.number), _moment(each.at), str(each.status_code or each.error),
                f"{each.response_ms:,.1f}", each.state.value,
            )
            for each in attempts
        ]  # fmt: skip
        out.print(_table(("delivery", "attempt", "at", "answer", "ms", "then"), rows))


def _table(headers: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Table:
    table = Table(*headers, header_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for row in rows:
        table.add_row(*row)
    return table


def _moment(seconds: float | None) -> str:
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
