"""The truth of a played programme against the published marts: to the cent, and nothing left out."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import duckdb
from rich.box import SIMPLE_HEAD
from rich.table import Table

from hookmart.reading import answer_of
from hookmart.status import status_document
from hookmart.terminal import out, print_document
from ingest.settings import Settings
from pipelines.sql_literals import sql_text
from simulator.truth import MONEY_COLUMNS, StatementRow, Truth

_SHOWN_ROWS = 100

NOT_OF_THE_STORY = (
    "event_from_the_future",
    "event_id_conflict",
    "missing_event_id",
    "missing_fx_rate",
    "quarantined_event",
    "unattributed_spend",
)
"""Rules of exceptions that judge how events came, and what else was loaded; of all others, the story knows each."""

_COUNTS = {
    "event_types": "select event_type, cast(sum(events) as bigint) from pipeline_freshness {where} group by 1",
    "conversions": "select status, count(*) from conversions {where} group by 1",
    "partner_conversions": "select partner_id || ', ' || status, count(*) from conversions {where} group by 1",
    "duplicate_conversions": "select 'conversions', count(duplicate_of_conversion_id) from conversions {where}",
    "rejections": "select category || ', ' || reason_code, count(*) from fraud_rejections {where} group by 1",
    "tier_changes": """
        select case when is_retroactive then 'retroactive ' else '' end || direction, count(*)
        from tier_impact {where} group by 1
    """,
    "exceptions": f"""
        select rule, count(*) from data_exceptions {{where}} and rule not in {NOT_OF_THE_STORY} group by 1
    """,
}
_ADJUSTMENTS = """
    select adjustment_type, currency, sum(amount) from commission_ledger {where} and adjustment_type is not null
    group by 1, 2
"""


class Difference(NamedTuple):
    """
    One figure that the truth and the marts do not share.

    Attributes:
        what: `statement`, `adjustments`, `completeness`, `event_types`, or one of `COUNTS`.
        where: Which row of it.
        truth: None where the truth has no such row; likewise *held*, of the marts.
    """

    what: str
    where: str
    column: str
    truth: Decimal | int | None
    held: Decimal | int | None


class TruthCheck(NamedTuple):
    """
    What came of a comparison.

    Attributes:
        rows: How many rows of statements agree, and how many other figures.
    """

    source: str
    rows: int
    figures: int
    differences: tuple[Difference, ...]


def check_truth(settings: Settings, source: str, truth: Truth) -> TruthCheck:
    """
    Compare *truth* with what the marts hold of *source*, which has to hold nothing but this programme.

    Its statement has to be of the reporting timezone, as `Truth.timezone` says.

    Raises:
        NotPublishedError: No build has published yet.
    """
    where = f"where source_id = {sql_text(source)}"
    differences = list(_completeness_differences(settings, source, truth))
    figures = 3
    for what, told in {"event_types": truth.event_types, **truth.counts}.items():
        held = dict(_rows(settings, _COUNTS[what].format(where=where)))
        found = _count_differences(what, told, {name: count for name, count in held.items() if count})
        differences += found
        figures += len(told)
    adjusted = {
        (kind, currency): amount for kind, currency, amount in _rows(settings, _ADJUSTMENTS.format(where=where))
    }
    differences += _amount_differences(truth.adjustments, adjusted)
    figures += len(truth.adjustments)
    statement = _held_statement(settings, where)
    told_rows = {row[:3]: row for row in _extended(truth, statement)}
    differences += _statement_differences(told_rows, statement)
    return TruthCheck(source, len(told_rows), figures, tuple(differences))


def print_check(check: TruthCheck, *, as_json: bool) -> None:
    """Print *check* as one JSON document, or as text for people with the first hundred differences."""
    if as_json:
        document = {
            "source": check.source,
            "is_equal": not check.differences,
            "statement_rows": check.rows,
            "figures": check.figures,
            "differences": [
                {**each._asdict(), "truth": _text(each.truth), "held": _text(each.held)} for each in check.differences
            ],
        }
        print_document(document, as_json=True)
        return
    if not check.differences:
        out.print(f"{summary_of(check)}: the truth and the marts agree, to the cent", markup=False)
        return
    table = Table(header_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("what", "where", "column"):
        table.add_column(name)
    for name in ("truth", "marts", "marts - truth"):
        table.add_column(name, justify="right")
    for each in check.differences[:_SHOWN_ROWS]:
        more = None if each.truth is None or each.held is None else each.held - each.truth
        table.add_row(
            each.what, each.where, each.column, *(_text(value) or "-" for value in (each.truth, each.held, more))
        )
    out.print(table)
    out.print(f"{summary_of(check)}: {len(check.differences):,} differ", markup=False)


def summary_of(check: TruthCheck) -> str:
    """Return how much was compared."""
    return f"{check.rows:,} rows of statements and {check.figures:,} other figures of {check.source}"


def _completeness_differences(settings: Settings, source: str, truth: Truth) -> Iterator[Difference]:
    held: Mapping[str, Any] = status_document(settings)["sources"].get(source, {})
    for name, told in (("loaded", truth.events), ("conflicting", 0), ("unexplained", 0)):
        if held.get(name) != told:
            yield Difference("completeness", source, name, told, held.get(name))


def _count_differences(what: str, told: Mapping[str, int], held: Mapping[str, int]) -> list[Difference]:
    return [
        Difference(what, name, "count", told.get(name), held.get(name))
        for name in sorted({*told, *held})
        if told.get(name) != held.get(name)
    ]


def _amount_differences(
    told: Mapping[tuple[str, str], Decimal], held: Mapping[tuple[str, str], Decimal]
) -> list[Difference]:
    return [
        Difference("adjustments", " ".join(key), "amount", told.get(key), held.get(key))
        for key in sorted({*told, *held})
        if told.get(key) != held.get(key)
    ]


def _held_statement(settings: Settings, where: str) -> dict[tuple[Any, ...], StatementRow]:
    names = ", ".join(StatementRow._fields)
    rows = _rows(settings, f"select {names} from commission_statement_monthly {where}")
    return {row[:3]: StatementRow(*row) for row in rows}


def _extended(truth: Truth, statement: Mapping[tuple[Any, ...], StatementRow]) -> Iterator[StatementRow]:
    """All rows of *truth*, and those in which nothing moves any more, since statements end with the whole ledger."""
    yield from truth.statement
    newest = max((row.month for row in statement.values()), default=None)
    for row in truth.balances:
        month = row.month
        while newest is not None and month < newest:
            month = (month + timedelta(days=32)).replace(day=1)
            nothing = Decimal(0)
            yield row._replace(
                month=month,
                opening_balance=row.closing_balance,
                earned=nothing,
                adjusted=nothing,
                transferred=nothing,
                paid=nothing,
                returned=nothing,
                prior_period_amount=nothing,
            )


def _statement_differences(
    told: Mapping[tuple[Any, ...], StatementRow], held: Mapping[tuple[Any, ...], StatementRow]
) -> list[Difference]:
    differences = []
    for key in sorted({*told, *held}):
        ours, theirs = told.get(key), held.get(key)
        month, partner_id, currency = key
        for name in MONEY_COLUMNS:
            pair = (None if row is None else getattr(row, name) for row in (ours, theirs))
            expected, found = pair
            if expected != found:
                differences.append(
                    Difference("statement", f"{month:%Y-%m} {partner_id} {currency}", name, expected, found)
                )
    return differences


def _rows(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    with answer_of(settings, sql) as (connection, selection):
        return _fetched(connection, selection)


def _fetched(connection: duckdb.DuckDBPyConnection, selection: str) -> list[tuple[Any, ...]]:
    return connection.sql(selection).fetchall()


def _text(value: Decimal | int | None) -> str | None:
    if value is None:
        return None
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)
